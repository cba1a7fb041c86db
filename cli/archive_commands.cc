#include "cli/archive_commands.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/connection.h"
#include "cli/listed_sets.h"
#include "cli/safetensors_shards.h"
#include "cli/table.h"
#include "common/base/atomic_file.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/base/progress_bar.h"
#include "common/base/status_macros.h"
#include "common/targets/target_archive.h"
#include "common/targets/wire.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

constexpr absl::Duration kTimeout = absl::Hours(24);  // terabytes take their time
constexpr size_t kPiece = size_t{1} << 20;
constexpr int64_t kMiB = 1 << 20;

ProgressBarOptions BarOptions(const Terminal& terminal, const char* label, int64_t total_bytes) {
  ProgressBarOptions options;
  options.label = label;
  options.unit = "MiB";
  options.total = total_bytes / kMiB;
  options.terminal = terminal.interactive;
  return options;
}

// A call that Ctrl-C ends.
struct ArchiveCall {
  explicit ArchiveCall(Terminal& terminal) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + kTimeout));
    on_cancel = terminal.interrupted->OnCancel([this] { context.TryCancel(); });
  }
  grpc::ClientContext context;
  Cancellation::Registration on_cancel;
};

// The archive's bytes as they come, each kept in `file` on its way to the reader.
class IncomingArchive {
 public:
  IncomingArchive(grpc::ClientReader<v1::ExportTargetsResponse>& stream, AtomicFile* file)
      : stream_(stream), file_(file) {}

  absl::StatusOr<size_t> Read(char* out, size_t size) {
    while (used_ == message_.archive().size()) {
      if (report_.has_value() || !stream_.Read(&message_)) return size_t{0};
      if (message_.has_report()) report_ = message_.report();
      used_ = 0;
      if (file_ != nullptr) REFLUX_RETURN_IF_ERROR(file_->Append(message_.archive()));
    }
    const size_t count = std::min(size, message_.archive().size() - used_);
    std::memcpy(out, message_.archive().data() + used_, count);
    used_ += count;
    return count;
  }
  const std::optional<v1::ExportReport>& report() const { return report_; }

 private:
  grpc::ClientReader<v1::ExportTargetsResponse>& stream_;
  AtomicFile* const file_;
  v1::ExportTargetsResponse message_;
  size_t used_ = 0;
  std::optional<v1::ExportReport> report_;
};

absl::Status Receive(ArchiveReader& reader, SafetensorsShards* shards, ProgressBar& bar) {
  REFLUX_ASSIGN_OR_RETURN(const ArchiveHeader header, reader.Begin());
  if (shards != nullptr) REFLUX_RETURN_IF_ERROR(shards->Begin(header));
  while (true) {
    REFLUX_ASSIGN_OR_RETURN(const std::optional<ArchiveEntry> entry, reader.Next());
    if (!entry.has_value()) break;
    if (shards != nullptr) REFLUX_RETURN_IF_ERROR(shards->Add(*entry));
    bar.Update(static_cast<int64_t>(reader.bytes()) / kMiB,
               absl::StrCat(reader.entries(), " targets"));
  }
  return shards == nullptr ? absl::OkStatus() : shards->End();
}

// Everything that the call sends, verified; `file` and `shards` may be null.
absl::StatusOr<v1::ExportReport> ReceiveArchive(Terminal& terminal, const std::string& cache,
                                                const v1::ExportTargetsRequest& request,
                                                AtomicFile* file, SafetensorsShards* shards) {
  REFLUX_ASSIGN_OR_RETURN(const auto channel, Connect(cache));
  const auto stub = v1::TargetArchiveService::NewStub(channel);
  ArchiveCall call(terminal);
  const auto stream = stub->ExportTargets(&call.context, request);
  IncomingArchive incoming(*stream, file);
  ArchiveReader reader([&](char* out, size_t size) { return incoming.Read(out, size); });
  ProgressBar bar(terminal.err, BarOptions(terminal, "export", 0));
  const absl::Status received = Receive(reader, shards, bar);
  if (!received.ok()) call.context.TryCancel();
  const absl::Status finished = FromGrpc(stream->Finish());
  // A call that broke explains an archive that was cut short.
  if (!finished.ok() && !absl::IsCancelled(finished)) return WithEndpoint(finished, cache);
  REFLUX_RETURN_IF_ERROR(received);
  REFLUX_RETURN_IF_ERROR(finished);
  if (!incoming.report().has_value()) return absl::DataLossError("the server sent no report");
  bar.Finish();
  return *incoming.report();
}

struct Exported {
  v1::ExportReport report;
  int shards = 0;
};

absl::StatusOr<Exported> Export(Terminal& terminal, const ExportFlags& flags) {
  REFLUX_ASSIGN_OR_RETURN(const std::vector<TargetSet> all, ListSets(flags.cache));
  REFLUX_ASSIGN_OR_RETURN(const std::vector<TargetSet> sets, SetsNamed(all, flags.set));
  v1::ExportTargetsRequest request;
  request.set_licence(flags.licence);
  for (const TargetSet& set : sets) *request.add_sets() = ToProto(set);
  std::unique_ptr<AtomicFile> file;
  if (!flags.output.empty()) {
    REFLUX_ASSIGN_OR_RETURN(AtomicFile created, AtomicFile::Create(flags.output));
    file = std::make_unique<AtomicFile>(std::move(created));
  }
  std::unique_ptr<SafetensorsShards> shards;
  if (!flags.safetensors.empty()) shards = std::make_unique<SafetensorsShards>(flags.safetensors);
  REFLUX_ASSIGN_OR_RETURN(v1::ExportReport report,
                          ReceiveArchive(terminal, flags.cache, request, file.get(), shards.get()));
  if (file != nullptr) REFLUX_RETURN_IF_ERROR(file->Publish());
  return Exported{std::move(report), shards != nullptr ? shards->shards() : 0};
}

void PrintExported(Terminal& terminal, const ExportFlags& flags, const Exported& exported) {
  const v1::ExportReport& report = exported.report;
  terminal.out << report.entries() << " targets, " << BytesText(report.bytes());
  if (!flags.output.empty()) terminal.out << ", in " << flags.output;
  if (!flags.safetensors.empty()) {
    terminal.out << ", in " << exported.shards << " files of " << flags.safetensors;
  }
  terminal.out << std::endl;
  if (report.corrupted() > 0) {
    terminal.err << report.corrupted() << " targets were corrupted and are left out" << std::endl;
  }
  if (report.without_origin() > 0) {
    terminal.err << report.without_origin()
                 << " targets were stored by a version that did not keep what they were made of; "
                    "they are left out"
                 << std::endl;
  }
}

struct FileToSend {
  int fd = -1;
  int64_t bytes = 0;
  ~FileToSend() {
    if (fd >= 0) close(fd);
  }
};

absl::Status OpenToSend(const std::string& path, FileToSend& file) {
  file.fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file.fd < 0) return ErrnoStatus(errno, "cannot open", path);
  struct stat info {};
  if (fstat(file.fd, &info) != 0) return ErrnoStatus(errno, "cannot stat", path);
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(path + " is no regular file");
  file.bytes = info.st_size;
  return absl::OkStatus();
}

// Until the file's end or until the server has heard enough.
absl::Status Send(const std::string& path, const FileToSend& file,
                  grpc::ClientWriter<v1::ImportTargetsRequest>& stream, ProgressBar& bar) {
  v1::ImportTargetsRequest piece;
  for (int64_t sent = 0;;) {
    piece.mutable_archive()->resize(kPiece);
    const ssize_t got = read(file.fd, piece.mutable_archive()->data(), kPiece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "cannot read", path);
    piece.mutable_archive()->resize(static_cast<size_t>(got));
    if (got == 0 || !stream.Write(piece)) return absl::OkStatus();
    bar.Update((sent += got) / kMiB);
  }
}

absl::StatusOr<v1::ImportTargetsResponse> Import(Terminal& terminal, const std::string& cache,
                                                 const std::string& path) {
  FileToSend file;
  REFLUX_RETURN_IF_ERROR(OpenToSend(path, file));
  REFLUX_ASSIGN_OR_RETURN(const auto channel, Connect(cache));
  const auto stub = v1::TargetArchiveService::NewStub(channel);
  ArchiveCall call(terminal);
  v1::ImportTargetsResponse response;
  const auto stream = stub->ImportTargets(&call.context, &response);
  ProgressBar bar(terminal.err, BarOptions(terminal, "import", file.bytes));
  const absl::Status sent = Send(path, file, *stream, bar);
  if (sent.ok()) {
    stream->WritesDone();
  } else {
    call.context.TryCancel();
  }
  const absl::Status finished = FromGrpc(stream->Finish());
  REFLUX_RETURN_IF_ERROR(sent);
  if (!finished.ok()) {
    return WithEndpoint(absl::Status(finished.code(), absl::StrCat(path, ": ", finished.message())),
                        cache);
  }
  bar.Finish();
  return response;
}

}  // namespace

int ExportTargets(Terminal& terminal, const ExportFlags& flags) {
  if (flags.output.empty() && flags.safetensors.empty()) {
    return Fail(terminal,
                absl::InvalidArgumentError("name a file (-o) or a folder (--safetensors)"));
  }
  const absl::StatusOr<Exported> exported = Export(terminal, flags);
  if (!exported.ok()) return Fail(terminal, exported.status());
  if (terminal.json) {
    terminal.out << MessageJson(exported->report, true);
  } else {
    PrintExported(terminal, flags, *exported);
  }
  return kExitDone;
}

int ImportTargets(Terminal& terminal, const std::string& cache, const std::string& path) {
  const absl::StatusOr<v1::ImportTargetsResponse> imported = Import(terminal, cache, path);
  if (!imported.ok()) return Fail(terminal, imported.status());
  if (terminal.json) {
    terminal.out << MessageJson(*imported, true);
    return kExitDone;
  }
  terminal.out << imported->entries() << " targets, " << BytesText(imported->bytes()) << ", "
               << imported->stored() << " of them new" << std::endl;
  if (!imported->licence().empty()) terminal.out << "licence: " << imported->licence() << std::endl;
  return kExitDone;
}

}  // namespace reflux
