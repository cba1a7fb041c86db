#include "distill/checkpoint/scripted_archive.h"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/digest.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr uint64_t kMaxCodeBytes = uint64_t{64} << 20;  // of an entry, unpacked
constexpr uint64_t kPieceBytes = uint64_t{1} << 20;
constexpr uint16_t kStored = 0, kDeflated = 8;

// Whether the entry says what the module does, rather than what its weights are or where its
// source was.
bool IsCode(absl::string_view name) {
  if (absl::EndsWith(name, ".debug_pkl")) return false;
  return absl::StartsWith(name, "code/") || absl::StartsWith(name, "constants/") ||
         name == "constants.pkl" || name == "data.pkl";
}

// Exactly `bytes` bytes, or nothing.
absl::StatusOr<std::string> Inflate(const std::string& packed, uint64_t bytes) {
  std::string out(bytes, '\0');
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return absl::InternalError("zlib does not start");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = inflate(&stream, Z_FINISH);
  const bool whole = result == Z_STREAM_END && stream.total_out == bytes;
  inflateEnd(&stream);
  if (!whole) return absl::DataLossError("cannot be unpacked");
  return out;
}

}  // namespace

absl::StatusOr<ScriptedArchive> ScriptedArchive::Open(std::shared_ptr<const ByteSource> source) {
  REFLUX_ASSIGN_OR_RETURN(ZipArchive archive, ZipArchive::Open(source));
  for (const auto& [name, entry] : archive.entries()) {
    if (!absl::EndsWith(name, "/constants.pkl")) continue;
    std::string root = name.substr(0, name.size() - absl::string_view("constants.pkl").size());
    return ScriptedArchive(std::move(source), std::move(archive), std::move(root));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      source->name(), ": not a TorchScript module (torch.jit.save): it has no constants.pkl"));
}

absl::Status ScriptedArchive::CheckSum(const std::string& name,
                                       const ZipArchive::Range& range) const {
  uLong crc = 0;
  for (uint64_t done = 0; done < range.bytes; done += kPieceBytes) {
    const uint64_t bytes = std::min(kPieceBytes, range.bytes - done);
    REFLUX_ASSIGN_OR_RETURN(const std::string piece,
                            source_->ReadString(range.begin + done, bytes, kPieceBytes));
    crc = crc32(crc, reinterpret_cast<const Bytef*>(piece.data()), static_cast<uInt>(bytes));
  }
  if (crc == range.crc) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(source_->name(), ": damaged: the checksum of '", name, "' does not match"));
}

absl::Status ScriptedArchive::CheckEntries() const {
  for (const auto& [name, entry] : archive_.entries()) {
    REFLUX_ASSIGN_OR_RETURN(const ZipArchive::Range range, archive_.LocateStored(name));
    if (entry.method == kStored && entry.stored_bytes == entry.bytes) {
      REFLUX_RETURN_IF_ERROR(CheckSum(name, range));
    } else if (entry.bytes > kMaxCodeBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(source_->name(), ": '", name, "' would unpack to ", entry.bytes, " bytes"));
    }
  }
  return absl::OkStatus();
}

// Tagged by name and length, so that no two files give the same bytes.
absl::StatusOr<std::string> ScriptedArchive::CodeDigest() const {
  Sha256 hash;
  for (const auto& [name, entry] : archive_.entries()) {
    if (!absl::StartsWith(name, root_)) continue;
    const std::string inner = name.substr(root_.size());
    if (!IsCode(inner)) continue;
    REFLUX_ASSIGN_OR_RETURN(const ZipArchive::Range range, archive_.LocateStored(name));
    REFLUX_ASSIGN_OR_RETURN(const std::string bytes,
                            source_->ReadString(range.begin, range.bytes, kMaxCodeBytes));
    hash.Update(absl::StrCat(inner, "\n", entry.method, " ", bytes.size(), "\n"));
    hash.Update(bytes);
  }
  return hash.Finish().Hex();
}

bool ScriptedArchive::Contains(absl::string_view name) const {
  return archive_.Contains(absl::StrCat(root_, name));
}

absl::StatusOr<std::string> ScriptedArchive::Content(absl::string_view name) const {
  const std::string full = absl::StrCat(root_, name);
  REFLUX_ASSIGN_OR_RETURN(const ZipArchive::Range range, archive_.LocateStored(full));
  const ZipArchive::Entry& entry = archive_.entries().at(full);
  if (entry.bytes > kMaxCodeBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(source_->name(), ": '", full, "' would unpack to ", entry.bytes, " bytes"));
  }
  REFLUX_ASSIGN_OR_RETURN(std::string content,
                          source_->ReadString(range.begin, range.bytes, kMaxCodeBytes));
  absl::StatusOr<std::string> plain =
      entry.method == kDeflated ? Inflate(content, entry.bytes) : std::move(content);
  const uLong crc = plain.ok() ? crc32(0, reinterpret_cast<const Bytef*>(plain->data()),
                                       static_cast<uInt>(plain->size()))
                               : 0;
  if (plain.ok() && crc == range.crc) return plain;
  return absl::DataLossError(absl::StrCat(source_->name(), ": damaged: '", full,
                                          "' does not unpack to what its checksum says"));
}

bool LooksLikeTorchScript(std::shared_ptr<const ByteSource> source) {
  return ScriptedArchive::Open(std::move(source)).ok();
}

}  // namespace reflux
