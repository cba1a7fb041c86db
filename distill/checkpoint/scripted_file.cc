// Loading of scripted_model.h: the file is looked at before its program runs.
#include <zlib.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/byte_source.h"
#include "distill/checkpoint/checkpoint_info.h"
#include "distill/checkpoint/scripted_model.h"
#include "distill/checkpoint/zip_archive.h"

namespace reflux {
namespace {

constexpr uint64_t kMaxCodeBytes = uint64_t{64} << 20;  // of an entry, unpacked
constexpr uint64_t kPieceBytes = uint64_t{1} << 20;
constexpr char kPreprocessing[] = "preprocessing";

struct ScriptedFile {
  std::shared_ptr<const ByteSource> source;
  ZipArchive archive;
  std::string root;  // "name/", which all entries begin with
};

absl::StatusOr<ScriptedFile> Open(const std::string& path) {
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<const ByteSource> source, OpenByteSource(path));
  REFLUX_ASSIGN_OR_RETURN(ZipArchive archive, ZipArchive::Open(source));
  ScriptedFile file{std::move(source), std::move(archive), ""};
  for (const auto& [name, entry] : file.archive.entries()) {
    if (!absl::EndsWith(name, "/constants.pkl")) continue;
    file.root = name.substr(0, name.size() - absl::string_view("constants.pkl").size());
    return file;
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": not a TorchScript module (torch.jit.save): it has no constants.pkl"));
}

// Whether the entry says what the module does, rather than what its weights are or where its
// source was.
bool IsCode(absl::string_view name) {
  if (absl::EndsWith(name, ".debug_pkl")) return false;
  return absl::StartsWith(name, "code/") || absl::StartsWith(name, "constants/") ||
         name == "constants.pkl" || name == "data.pkl";
}

absl::Status CheckSum(const ByteSource& source, const std::string& name,
                      const ZipArchive::Range& range) {
  uLong crc = 0;
  for (uint64_t done = 0; done < range.bytes; done += kPieceBytes) {
    const uint64_t bytes = std::min(kPieceBytes, range.bytes - done);
    REFLUX_ASSIGN_OR_RETURN(const std::string piece,
                            source.ReadString(range.begin + done, bytes, kPieceBytes));
    crc = crc32(crc, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(bytes));
  }
  if (crc == range.crc) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(source.name(), ": damaged: the checksum of '", name, "' does not match"));
}

// Sizes are bounded and checksums right, as far as they can be had without unpacking.
absl::Status CheckEntries(const ScriptedFile& file) {
  for (const auto& [name, entry] : file.archive.entries()) {
    REFLUX_ASSIGN_OR_RETURN(const ZipArchive::Range range, file.archive.LocateStored(name));
    if (entry.method == 0 && entry.stored_bytes == entry.bytes) {
      REFLUX_RETURN_IF_ERROR(CheckSum(*file.source, name, range));
    } else if (entry.bytes > kMaxCodeBytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          file.source->name(), ": '", name, "' would unpack to ", entry.bytes, " bytes"));
    }
  }
  return absl::OkStatus();
}

// Tagged by name and length, so that no two files give the same bytes.
absl::StatusOr<std::string> CodeDigest(const ScriptedFile& file) {
  Sha256 hash;
  for (const auto& [name, entry] : file.archive.entries()) {
    if (!absl::StartsWith(name, file.root)) continue;
    const std::string inner = name.substr(file.root.size());
    if (!IsCode(inner)) continue;
    REFLUX_ASSIGN_OR_RETURN(const ZipArchive::Range range, file.archive.LocateStored(name));
    REFLUX_ASSIGN_OR_RETURN(const std::string bytes,
                            file.source->ReadString(range.begin, range.bytes, kMaxCodeBytes));
    hash.Update(absl::StrCat(inner, "\n", entry.method, " ", bytes.size(), "\n"));
    hash.Update(bytes);
  }
  return hash.Finish().Hex();
}

absl::Status Unusable(const std::string& path, absl::string_view why) {
  // The first line says it; the rest is a trace of C++ functions.
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": TorchScript: ", why.substr(0, why.find("\nException raised"))));
}

}  // namespace

absl::StatusOr<std::string> ScriptedCodeDigest(const std::string& path) {
  REFLUX_ASSIGN_OR_RETURN(const ScriptedFile file, Open(path));
  return CodeDigest(file);
}

absl::StatusOr<ScriptedCheckpoint> LoadScriptedModel(const std::string& path) {
  REFLUX_ASSIGN_OR_RETURN(const ScriptedFile file, Open(path));
  REFLUX_RETURN_IF_ERROR(CheckEntries(file));
  REFLUX_ASSIGN_OR_RETURN(std::string digest, CodeDigest(file));
  ScriptedCheckpoint checkpoint;
  torch::jit::ExtraFilesMap extra = {{kPreprocessing, ""}};
  try {
    torch::jit::Module module = torch::jit::load(path, torch::kCPU, extra);
    checkpoint.model = std::make_shared<ScriptedModel>(std::move(module), std::move(digest));
  } catch (const c10::Error& error) {
    return Unusable(path, error.what_without_backtrace());
  } catch (const std::exception& error) {
    return Unusable(path, error.what());
  }
  if (extra.at(kPreprocessing).empty()) return checkpoint;
  REFLUX_ASSIGN_OR_RETURN(checkpoint.preprocessing,
                          ParsePreprocessing(path, extra.at(kPreprocessing)));
  return checkpoint;
}

}  // namespace reflux
