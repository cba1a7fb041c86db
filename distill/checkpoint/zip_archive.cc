#include "distill/checkpoint/zip_archive.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kDirectoryEntry = 0x02014b50, kEnd = 0x06054b50,
                   kEnd64 = 0x06064b50, kEnd64Locator = 0x07064b50;
constexpr uint64_t kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20, kEntryBytes = 46,
                   kLocalBytes = 30, kMaxComment = 65535;

// Little-endian, as this code's platforms are; `at` lies within `bytes` (checked by the caller).
template <typename T>
T Number(absl::string_view bytes, uint64_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

absl::Status Broken(const ByteSource& source, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(source.name(), ": not a valid zip file: ", what));
}

struct Directory {
  uint64_t offset = 0, bytes = 0, entries = 0;
};

// The ZIP64 record that stands before the end record at `end`, if there is one.
absl::Status ReadEnd64(const ByteSource& source, uint64_t end, Directory& directory) {
  if (end < kLocatorBytes) return absl::OkStatus();
  REFLUX_ASSIGN_OR_RETURN(const std::string locator,
                          source.ReadString(end - kLocatorBytes, kLocatorBytes, kLocatorBytes));
  if (Number<uint32_t>(locator, 0) != kEnd64Locator) return absl::OkStatus();
  REFLUX_ASSIGN_OR_RETURN(const std::string record, source.ReadString(Number<uint64_t>(locator, 8),
                                                                      kEnd64Bytes, kEnd64Bytes));
  if (Number<uint32_t>(record, 0) != kEnd64) return Broken(source, "its ZIP64 record is missing");
  directory = {.offset = Number<uint64_t>(record, 48),
               .bytes = Number<uint64_t>(record, 40),
               .entries = Number<uint64_t>(record, 32)};
  return absl::OkStatus();
}

absl::StatusOr<Directory> FindDirectory(const ByteSource& source) {
  const uint64_t tail_bytes = std::min(source.size(), kEndBytes + kMaxComment);
  REFLUX_ASSIGN_OR_RETURN(const std::string tail,
                          source.ReadString(source.size() - tail_bytes, tail_bytes, tail_bytes));
  for (uint64_t back = kEndBytes; back <= tail_bytes; ++back) {
    const uint64_t at = tail_bytes - back;
    if (Number<uint32_t>(tail, at) != kEnd || Number<uint16_t>(tail, at + 20) != back - kEndBytes) {
      continue;
    }
    Directory directory{.offset = Number<uint32_t>(tail, at + 16),
                        .bytes = Number<uint32_t>(tail, at + 12),
                        .entries = Number<uint16_t>(tail, at + 10)};
    REFLUX_RETURN_IF_ERROR(ReadEnd64(source, source.size() - back, directory));
    return directory;
  }
  return Broken(source, "it has no end record; the file is truncated or of another kind");
}

// ZIP64 fields stand in the extra field with id 1, in this order, only those that are all ones in
// the entry itself.
bool ReadExtra64(absl::string_view extra, ZipArchive::Entry& entry) {
  while (extra.size() >= 4) {
    const auto id = Number<uint16_t>(extra, 0), bytes = Number<uint16_t>(extra, 2);
    if (bytes > extra.size() - 4) return false;
    absl::string_view fields = extra.substr(4, bytes);
    extra.remove_prefix(4 + bytes);
    if (id != 1) continue;
    for (uint64_t* field : {&entry.bytes, &entry.stored_bytes, &entry.header}) {
      if (*field != UINT32_MAX) continue;
      if (fields.size() < 8) return false;
      *field = Number<uint64_t>(fields, 0);
      fields.remove_prefix(8);
    }
  }
  return true;
}

}  // namespace

absl::StatusOr<ZipArchive> ZipArchive::Open(std::shared_ptr<const ByteSource> source) {
  ZipArchive archive;
  archive.source_ = std::move(source);
  REFLUX_RETURN_IF_ERROR(archive.ReadDirectory());
  return archive;
}

absl::Status ZipArchive::ReadDirectory() {
  REFLUX_ASSIGN_OR_RETURN(const Directory place, FindDirectory(*source_));
  REFLUX_ASSIGN_OR_RETURN(const std::string directory,
                          source_->ReadString(place.offset, place.bytes, kMaxDirectoryBytes));
  if (place.entries > directory.size() / kEntryBytes) {
    return Broken(*source_, "its directory is shorter than its entries");
  }
  uint64_t position = 0;
  for (uint64_t i = 0; i < place.entries; ++i) {
    REFLUX_RETURN_IF_ERROR(ParseEntry(directory, position));
  }
  return CheckSizes();
}

// Entries that lie over one another would be read again and again.
absl::Status ZipArchive::CheckSizes() const {
  uint64_t left = source_->size();
  for (const auto& [name, entry] : entries_) {
    if (entry.stored_bytes > left) {
      return Broken(*source_, "its entries have more bytes than it has itself");
    }
    left -= entry.stored_bytes;
  }
  return absl::OkStatus();
}

absl::Status ZipArchive::ParseEntry(absl::string_view directory, uint64_t& position) {
  const absl::string_view rest = directory.substr(position);
  if (rest.size() < kEntryBytes || Number<uint32_t>(rest, 0) != kDirectoryEntry) {
    return Broken(*source_, "an entry of its directory is missing");
  }
  const auto name_bytes = Number<uint16_t>(rest, 28), extra_bytes = Number<uint16_t>(rest, 30),
             comment_bytes = Number<uint16_t>(rest, 32);
  const uint64_t total = kEntryBytes + name_bytes + extra_bytes + comment_bytes;
  if (total > rest.size()) return Broken(*source_, "an entry of its directory is cut off");
  Entry entry{.flags = Number<uint16_t>(rest, 8),
              .method = Number<uint16_t>(rest, 10),
              .crc = Number<uint32_t>(rest, 16),
              .stored_bytes = Number<uint32_t>(rest, 20),
              .bytes = Number<uint32_t>(rest, 24),
              .header = Number<uint32_t>(rest, 42)};
  const std::string name(rest.substr(kEntryBytes, name_bytes));
  if (!ReadExtra64(rest.substr(kEntryBytes + name_bytes, extra_bytes), entry)) {
    return Broken(*source_, absl::StrCat("the ZIP64 fields of '", name, "' are cut off"));
  }
  if (!entries_.emplace(name, entry).second) {
    return Broken(*source_, absl::StrCat("it has '", name, "' twice"));
  }
  position += total;
  return absl::OkStatus();
}

absl::StatusOr<ZipArchive::Range> ZipArchive::Locate(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    return absl::NotFoundError(absl::StrCat(source_->name(), ": it has no entry '", name, "'"));
  }
  const Entry& entry = found->second;
  constexpr uint16_t kEncrypted = 1;
  if (entry.method != 0 || entry.stored_bytes != entry.bytes || (entry.flags & kEncrypted) != 0) {
    return absl::UnimplementedError(
        absl::StrCat(source_->name(), ": entry '", name,
                     "' is compressed or encrypted, which PyTorch does not write; only stored "
                     "entries are read"));
  }
  return LocateStored(name);
}

absl::StatusOr<ZipArchive::Range> ZipArchive::LocateStored(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    return absl::NotFoundError(absl::StrCat(source_->name(), ": it has no entry '", name, "'"));
  }
  const Entry& entry = found->second;
  REFLUX_ASSIGN_OR_RETURN(const std::string local,
                          source_->ReadString(entry.header, kLocalBytes, kLocalBytes));
  if (Number<uint32_t>(local, 0) != kLocalHeader) {
    return Broken(*source_, absl::StrCat("the header of '", name, "' is missing"));
  }
  const uint64_t begin =
      entry.header + kLocalBytes + Number<uint16_t>(local, 26) + Number<uint16_t>(local, 28);
  if (begin > source_->size() || entry.stored_bytes > source_->size() - begin) {
    return Broken(*source_, absl::StrCat("'", name, "' goes beyond the end of the file"));
  }
  return Range{begin, entry.stored_bytes, entry.crc};
}

}  // namespace reflux
