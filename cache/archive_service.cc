#include "cache/archive_service.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cache/teacher_memory.h"
#include "common/base/boot_id.h"
#include "common/base/build_version.h"
#include "common/base/status_macros.h"
#include "common/rpc/status.h"
#include "common/targets/target_archive.h"
#include "common/targets/wire.h"

namespace reflux {
namespace {

absl::StatusOr<ArchiveHeader> HeaderOf(const v1::ExportTargetsRequest& request,
                                       TargetStore& store) {
  ArchiveHeader header;
  header.licence = request.licence();
  header.build_version = std::string(BuildVersion());
  for (const v1::TargetSet& set : request.sets()) {
    REFLUX_ASSIGN_OR_RETURN(header.sets.emplace_back(), TargetSetFromProto(set));
  }
  const std::optional<TeacherInfo> teacher = TeacherMemory(store).Recall();
  if (teacher.has_value() && !header.sets.empty() && teacher->identity == header.sets[0].teacher) {
    header.teacher = teacher;
  }
  return header;
}

// Writes one archive into one call.
class Export {
 public:
  Export(TargetStore& store, grpc::ServerContext& context,
         grpc::ServerWriter<v1::ExportTargetsResponse>& stream)
      : store_(store),
        context_(context),
        stream_(stream),
        writer_([this](absl::string_view bytes) { return Send(bytes); }) {}

  absl::Status Run(const v1::ExportTargetsRequest& request) {
    REFLUX_ASSIGN_OR_RETURN(const ArchiveHeader header, HeaderOf(request, store_));
    REFLUX_RETURN_IF_ERROR(writer_.Begin(header));
    for (size_t set = 0; set < header.sets.size(); ++set) {
      REFLUX_RETURN_IF_ERROR(
          store_.Visit(MakeTargetSetId(header.sets[set]),
                       [&](const StoredEntry& entry) { return Add(set, entry); }));
    }
    REFLUX_RETURN_IF_ERROR(writer_.End());
    REFLUX_RETURN_IF_ERROR(Flush());
    v1::ExportTargetsResponse last;
    *last.mutable_report() = report_;
    return stream_.Write(last) ? absl::OkStatus() : absl::CancelledError("the client is gone");
  }

 private:
  // An entry that has gone meanwhile, or does not read, is left out.
  absl::Status Add(size_t set, const StoredEntry& stored) {
    if (!stored.origin.has_value()) {
      report_.set_without_origin(report_.without_origin() + 1);
      return absl::OkStatus();
    }
    absl::StatusOr<EncodedTarget> target = store_.Read(stored.key, Use::kInspection);
    if (absl::IsNotFound(target.status())) return absl::OkStatus();
    if (!target.ok()) {
      report_.set_corrupted(report_.corrupted() + 1);
      return absl::OkStatus();
    }
    report_.set_entries(report_.entries() + 1);
    report_.set_bytes(report_.bytes() + static_cast<int64_t>(target->bytes.size()));
    return writer_.Add({set, stored.key, *stored.origin, *std::move(target)});
  }

  // Small parts travel together.
  absl::Status Send(absl::string_view bytes) {
    std::string& piece = *message_.mutable_archive();
    while (!bytes.empty()) {
      const size_t count = std::min(bytes.size(), kPiece - piece.size());
      piece.append(bytes.data(), count);
      bytes.remove_prefix(count);
      if (piece.size() == kPiece) REFLUX_RETURN_IF_ERROR(Flush());
    }
    return absl::OkStatus();
  }

  absl::Status Flush() {
    if (context_.IsCancelled() || !stream_.Write(message_)) {
      return absl::CancelledError("the client is gone");
    }
    message_.mutable_archive()->clear();
    return absl::OkStatus();
  }

  static constexpr size_t kPiece = size_t{1} << 20;
  TargetStore& store_;
  grpc::ServerContext& context_;
  grpc::ServerWriter<v1::ExportTargetsResponse>& stream_;
  v1::ExportTargetsResponse message_;
  v1::ExportReport report_;
  ArchiveWriter writer_;
};

// The bytes of a stream of messages.
ArchiveReader::Input StreamInput(grpc::ServerReader<v1::ImportTargetsRequest>& stream) {
  return [&stream, message = v1::ImportTargetsRequest(), used = size_t{0}](
             char* out, size_t size) mutable -> absl::StatusOr<size_t> {
    while (used == message.archive().size()) {
      if (!stream.Read(&message)) return size_t{0};
      used = 0;
    }
    const size_t count = std::min(size, message.archive().size() - used);
    std::memcpy(out, message.archive().data() + used, count);
    used += count;
    return count;
  };
}

absl::Status Import(TargetStore& store, ArchiveReader& reader, v1::ImportTargetsResponse& report) {
  REFLUX_ASSIGN_OR_RETURN(const ArchiveHeader header, reader.Begin());
  report.set_licence(header.licence);
  while (true) {
    REFLUX_ASSIGN_OR_RETURN(const std::optional<ArchiveEntry> entry, reader.Next());
    if (!entry.has_value()) break;
    if (store.Contains(entry->key)) continue;
    REFLUX_RETURN_IF_ERROR(
        store.Put(entry->key, header.sets[entry->set], entry->origin, entry->target));
    report.set_stored(report.stored() + 1);
  }
  report.set_entries(static_cast<int64_t>(reader.entries()));
  report.set_bytes(static_cast<int64_t>(reader.bytes()));
  // A cache that knows no teacher can be used with the archive alone.
  TeacherMemory memory(store);
  if (header.teacher.has_value() && !memory.Recall().has_value()) memory.Remember(*header.teacher);
  return absl::OkStatus();
}

class Service : public v1::TargetArchiveService::Service {
 public:
  explicit Service(TargetStore& store) : store_(store) {}

  grpc::Status ExportTargets(grpc::ServerContext* context, const v1::ExportTargetsRequest* request,
                             grpc::ServerWriter<v1::ExportTargetsResponse>* stream) override {
    return ToGrpc(Export(store_, *context, *stream).Run(*request));
  }

  grpc::Status ImportTargets(grpc::ServerContext*,
                             grpc::ServerReader<v1::ImportTargetsRequest>* stream,
                             v1::ImportTargetsResponse* response) override {
    ArchiveReader reader(StreamInput(*stream));
    const absl::Status status = Import(store_, reader, *response);
    if (status.ok()) return grpc::Status::OK;
    return ToGrpc(absl::Status(
        status.code(),
        absl::StrCat(status.message(), "; ", response->stored(), " new targets have been stored")));
  }

 private:
  TargetStore& store_;
};

}  // namespace

std::unique_ptr<v1::TargetArchiveService::Service> MakeArchiveService(TargetStore& store) {
  return std::make_unique<Service>(store);
}

}  // namespace reflux
