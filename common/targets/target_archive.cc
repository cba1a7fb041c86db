#include "common/targets/target_archive.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/targets/wire.h"
#include "reflux/v1/targets.pb.h"

namespace reflux {
namespace {

// docs/target_archive.md
constexpr char kMagic[] = "REFLUXTA";
constexpr size_t kMagicSize = 8;
constexpr uint64_t kVersion = 1;
constexpr size_t kMaxHeader = size_t{1} << 20;
constexpr char kEntryMark = 1, kTrailerMark = 2;
// Of an entry after its mark: set, key, origin, dtype, shape, size and checksum of the value.
constexpr size_t kEntryHead = 2 + Digest::kSize + kTargetOriginSize + 1 + 12 + 8 + 8;
constexpr size_t kPiece = size_t{1} << 20;

void Append(std::string& out, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
}

uint64_t Take(absl::string_view& bytes, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  bytes.remove_prefix(count);
  return value;
}

absl::string_view TakeBytes(absl::string_view& bytes, size_t count) {
  const absl::string_view taken = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return taken;
}

absl::Status CheckBounds(const ArchiveHeader& header) {
  if (header.sets.empty() || header.sets.size() > ArchiveHeader::kMaxSets) {
    return absl::InvalidArgumentError(
        absl::StrCat("archive: 1..", ArchiveHeader::kMaxSets, " sets, not ", header.sets.size()));
  }
  if (header.licence.size() > ArchiveHeader::kMaxLicence) {
    return absl::InvalidArgumentError(
        absl::StrCat("archive: a licence note over ", ArchiveHeader::kMaxLicence, " bytes"));
  }
  return absl::OkStatus();
}

v1::TargetArchiveHeader ToMessage(const ArchiveHeader& header) {
  v1::TargetArchiveHeader message;
  for (const TargetSet& set : header.sets) *message.add_sets() = ToProto(set);
  message.set_licence(header.licence);
  if (header.teacher.has_value()) *message.mutable_teacher() = ToProto(*header.teacher);
  message.set_build_version(header.build_version);
  return message;
}

absl::StatusOr<ArchiveHeader> FromMessage(const v1::TargetArchiveHeader& message) {
  ArchiveHeader header;
  for (const v1::TargetSet& set : message.sets()) {
    REFLUX_ASSIGN_OR_RETURN(header.sets.emplace_back(), TargetSetFromProto(set));
  }
  header.licence = message.licence();
  header.build_version = message.build_version();
  if (message.has_teacher()) {
    REFLUX_ASSIGN_OR_RETURN(header.teacher, FromProto(message.teacher()));
  }
  REFLUX_RETURN_IF_ERROR(CheckBounds(header));
  return header;
}

std::string EncodeEntryHead(const ArchiveEntry& entry) {
  std::string head;
  Append(head, entry.set, 2);
  absl::StrAppend(&head, entry.key.digest.AsBytes(), EncodeTargetOrigin(entry.origin));
  Append(head, static_cast<uint8_t>(entry.target.dtype), 1);
  for (const int32_t side : entry.target.shape) Append(head, static_cast<uint32_t>(side), 4);
  Append(head, entry.target.bytes.size(), 8);
  Append(head, entry.target.checksum, 8);
  return head;
}

struct EntryHead {
  ArchiveEntry entry;  // without the value's bytes
  uint64_t size = 0;
};

absl::StatusOr<EntryHead> DecodeEntryHead(absl::string_view bytes) {
  EntryHead head;
  head.entry.set = Take(bytes, 2);
  REFLUX_ASSIGN_OR_RETURN(head.entry.key.digest,
                          Digest::FromBytes(TakeBytes(bytes, Digest::kSize)));
  REFLUX_ASSIGN_OR_RETURN(head.entry.origin,
                          DecodeTargetOrigin(TakeBytes(bytes, kTargetOriginSize)));
  head.entry.target.dtype = static_cast<DType>(Take(bytes, 1));
  for (int32_t& side : head.entry.target.shape) side = static_cast<int32_t>(Take(bytes, 4));
  head.size = Take(bytes, 8);
  head.entry.target.checksum = Take(bytes, 8);
  return head;
}

}  // namespace

absl::Status ArchiveWriter::Write(absl::string_view bytes) {
  digest_.Update(bytes);
  return output_(bytes);
}

absl::Status ArchiveWriter::Begin(const ArchiveHeader& header) {
  REFLUX_RETURN_IF_ERROR(CheckBounds(header));
  const std::string message = ToMessage(header).SerializeAsString();
  if (message.size() > kMaxHeader) {
    return absl::InvalidArgumentError("archive: a header over 1 MiB");
  }
  sets_ = header.sets;
  std::string bytes(kMagic, kMagicSize);
  Append(bytes, kVersion, 4);
  Append(bytes, message.size(), 4);
  bytes += message;
  Append(bytes, TargetChecksum(message), 8);
  return Write(bytes);
}

absl::Status ArchiveWriter::Add(const ArchiveEntry& entry) {
  if (entry.set >= sets_.size() || MakeTargetKey(sets_[entry.set], entry.origin) != entry.key ||
      entry.target.codec != sets_[entry.set].spec.codec) {
    return absl::InvalidArgumentError(
        absl::StrCat("archive: the key ", entry.key.digest.Short(), " is not that of its target"));
  }
  const std::string head = EncodeEntryHead(entry);
  std::string bytes(1, kEntryMark);
  bytes += head;
  Append(bytes, TargetChecksum(head), 8);
  REFLUX_RETURN_IF_ERROR(Write(bytes));
  for (size_t at = 0; at < entry.target.bytes.size(); at += kPiece) {
    REFLUX_RETURN_IF_ERROR(Write(entry.target.bytes.substr(at, kPiece)));
  }
  ++entries_;
  bytes_ += entry.target.bytes.size();
  return absl::OkStatus();
}

absl::Status ArchiveWriter::End() {
  std::string trailer(1, kTrailerMark);
  Append(trailer, entries_, 8);
  Append(trailer, bytes_, 8);
  REFLUX_RETURN_IF_ERROR(Write(trailer));
  return output_(digest_.Finish().AsBytes());
}

absl::Status ArchiveReader::Damaged(absl::string_view why) const {
  return absl::DataLossError(absl::StrCat("target archive: ", why, " (byte ", position_, ", after ",
                                          entries_, " targets)"));
}

// Memory grows with what has arrived, not with what is claimed.
absl::Status ArchiveReader::Read(size_t size, std::string& out) {
  out.clear();
  while (out.size() < size) {
    const size_t filled = out.size(), want = std::min(size - filled, kPiece);
    out.resize(filled + want);
    REFLUX_ASSIGN_OR_RETURN(const size_t got, input_(out.data() + filled, want));
    out.resize(filled + std::min(got, want));
    position_ += got;
    if (got == 0) return Damaged("cut short");
  }
  digest_.Update(out);
  return absl::OkStatus();
}

absl::StatusOr<ArchiveHeader> ArchiveReader::Begin() {
  std::string bytes;
  const absl::Status start = Read(kMagicSize + 8, bytes);
  if (!start.ok() && !absl::IsDataLoss(start)) return start;
  if (!start.ok() || bytes.compare(0, kMagicSize, kMagic) != 0) {
    return absl::InvalidArgumentError("not a target archive: it does not begin with REFLUXTA");
  }
  absl::string_view rest = absl::string_view(bytes).substr(kMagicSize);
  const uint64_t version = Take(rest, 4), size = Take(rest, 4);
  if (version != kVersion) {
    return absl::FailedPreconditionError(absl::StrCat("target archive of version ", version,
                                                      ", this program reads version ", kVersion));
  }
  if (size > kMaxHeader) return Damaged("a header over 1 MiB");
  std::string message, checksum;
  REFLUX_RETURN_IF_ERROR(Read(size, message));
  REFLUX_RETURN_IF_ERROR(Read(8, checksum));
  rest = checksum;
  v1::TargetArchiveHeader parsed;
  if (Take(rest, 8) != TargetChecksum(message) || !parsed.ParseFromString(message)) {
    return Damaged("the header does not match its checksum");
  }
  absl::StatusOr<ArchiveHeader> header = FromMessage(parsed);
  if (!header.ok()) return Damaged(header.status().message());
  sets_ = header->sets;
  return header;
}

absl::StatusOr<std::optional<ArchiveEntry>> ArchiveReader::Next() {
  std::string mark;
  REFLUX_RETURN_IF_ERROR(Read(1, mark));
  if (mark[0] == kTrailerMark) {
    REFLUX_RETURN_IF_ERROR(ReadTrailer());
    return std::optional<ArchiveEntry>();
  }
  if (mark[0] != kEntryMark) return Damaged("neither a target nor the end");
  REFLUX_ASSIGN_OR_RETURN(ArchiveEntry entry, ReadEntry());
  ++entries_;
  bytes_ += entry.target.bytes.size();
  return std::optional<ArchiveEntry>(std::move(entry));
}

absl::StatusOr<ArchiveEntry> ArchiveReader::ReadEntry() {
  std::string head, checksum;
  REFLUX_RETURN_IF_ERROR(Read(kEntryHead, head));
  REFLUX_RETURN_IF_ERROR(Read(8, checksum));
  absl::string_view rest = checksum;
  if (Take(rest, 8) != TargetChecksum(head)) return Damaged("the head of a target is damaged");
  absl::StatusOr<EntryHead> decoded = DecodeEntryHead(head);
  if (!decoded.ok()) return Damaged(decoded.status().message());
  ArchiveEntry& entry = decoded->entry;
  if (entry.set >= sets_.size()) return Damaged("a target of a set that the header lacks");
  if (MakeTargetKey(sets_[entry.set], entry.origin) != entry.key) {
    return Damaged(absl::StrCat("the key ", entry.key.digest.Short(),
                                " is not that of what the target is made of"));
  }
  if (decoded->size > static_cast<uint64_t>(EncodedTarget::kMaxBytes)) {
    return Damaged("a target over 1 GiB");
  }
  auto value = std::make_shared<std::string>();
  REFLUX_RETURN_IF_ERROR(Read(decoded->size, *value));
  entry.target.codec = sets_[entry.set].spec.codec;
  entry.target.bytes = *value;
  entry.target.owner = value;
  const absl::Status valid = entry.target.Verify();
  if (!valid.ok()) return Damaged(valid.message());
  return std::move(decoded->entry);
}

absl::Status ArchiveReader::ReadTrailer() {
  std::string counts, digest;
  REFLUX_RETURN_IF_ERROR(Read(16, counts));
  const Digest expected = digest_.Finish();
  digest_ = Sha256();
  REFLUX_RETURN_IF_ERROR(Read(Digest::kSize, digest));
  absl::string_view rest = counts;
  const uint64_t entries = Take(rest, 8), bytes = Take(rest, 8);
  if (entries != entries_ || bytes != bytes_) {
    return Damaged(absl::StrCat("the end says ", entries, " targets"));
  }
  if (digest != expected.AsBytes()) return Damaged("it does not match its digest");
  char more = 0;
  REFLUX_ASSIGN_OR_RETURN(const size_t got, input_(&more, 1));
  return got == 0 ? absl::OkStatus() : Damaged("bytes after the end");
}

ArchiveReader::Input BytesInput(absl::string_view bytes) {
  return [bytes](char* out, size_t size) mutable -> absl::StatusOr<size_t> {
    const size_t count = std::min(size, bytes.size());
    std::memcpy(out, bytes.data(), count);
    bytes.remove_prefix(count);
    return count;
  };
}

}  // namespace reflux
