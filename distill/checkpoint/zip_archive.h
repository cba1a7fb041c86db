// The directory of a ZIP file (PKWARE APPNOTE 6.3.9), also ZIP64, whose entries are stored, not
// compressed: what PyTorch writes. A hostile file gives an error, never an allocation beyond the
// limits below.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "distill/checkpoint/byte_source.h"

namespace reflux {

// Thread-safe.
class ZipArchive {
 public:
  static constexpr uint64_t kMaxDirectoryBytes = uint64_t{64} << 20;

  struct Range {  // of the file's bytes
    uint64_t begin = 0, bytes = 0;
    uint32_t crc = 0;  // CRC-32 of them, as the directory says
  };
  struct Entry {
    uint16_t flags = 0, method = 0;
    uint32_t crc = 0;
    uint64_t stored_bytes = 0, bytes = 0, header = 0;  // `header`: offset of its local header
  };

  // DataLoss for a file that breaks the format, is truncated, names an entry twice, or whose
  // entries have more bytes together than the file.
  static absl::StatusOr<ZipArchive> Open(std::shared_ptr<const ByteSource> source);

  const std::map<std::string, Entry>& entries() const { return entries_; }
  bool Contains(const std::string& name) const { return entries_.count(name) > 0; }
  // Where the content of an entry lies. NotFound; Unimplemented for a compressed or encrypted one;
  // DataLoss when it does not lie within the file.
  absl::StatusOr<Range> Locate(const std::string& name) const;
  // The same for any entry, as it is stored: perhaps compressed.
  absl::StatusOr<Range> LocateStored(const std::string& name) const;

 private:
  absl::Status ReadDirectory();
  absl::Status ParseEntry(absl::string_view directory, uint64_t& position);
  absl::Status CheckSizes() const;

  std::shared_ptr<const ByteSource> source_;
  std::map<std::string, Entry> entries_;
};

}  // namespace reflux
