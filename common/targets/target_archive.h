// Target archives: stored targets as one portable file, each with what its key is made of, so that
// whoever reads it can check that the bytes are the ones the key names. The format, byte by byte,
// is in docs/target_archive.md. Written and read as a stream: one target in memory at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/targets/target.h"
#include "common/targets/target_key.h"

namespace reflux {

struct ArchiveHeader {
  std::vector<TargetSet> sets;  // 1..kMaxSets
  std::string licence;          // free text, at most kMaxLicence bytes
  std::optional<TeacherInfo> teacher;
  std::string build_version;  // of the program that wrote it

  static constexpr size_t kMaxSets = 256, kMaxLicence = size_t{64} << 10;
};

struct ArchiveEntry {
  size_t set = 0;  // place in ArchiveHeader::sets
  TargetKey key;
  TargetOrigin origin;
  EncodedTarget target;
};

// Begin, then Add for each target, then End, once each. The same calls give the same bytes. Not
// thread-safe.
class ArchiveWriter {
 public:
  // Takes the next bytes of the file; its error ends the writing and is returned.
  using Output = std::function<absl::Status(absl::string_view)>;

  explicit ArchiveWriter(Output output) : output_(std::move(output)) {}

  // InvalidArgument when a bound of the header is exceeded.
  absl::Status Begin(const ArchiveHeader& header);
  // InvalidArgument when the key is not the one that set and origin give.
  absl::Status Add(const ArchiveEntry& entry);
  absl::Status End();

 private:
  absl::Status Write(absl::string_view bytes);

  const Output output_;
  std::vector<TargetSet> sets_;
  Sha256 digest_;
  uint64_t entries_ = 0, bytes_ = 0;
};

// Begin, then Next until it returns nothing. A file is hostile until proven otherwise: no size is
// believed before the bytes are there. Not thread-safe.
class ArchiveReader {
 public:
  // Fills `out` with up to `size` next bytes of the file and returns how many; 0 at its end.
  using Input = std::function<absl::StatusOr<size_t>(char* out, size_t size)>;

  explicit ArchiveReader(Input input) : input_(std::move(input)) {}

  // InvalidArgument: not a target archive. FailedPrecondition: of a version that this program does
  // not read. DataLoss: damaged or cut short; the message says where.
  absl::StatusOr<ArchiveHeader> Begin();
  // The next target, checked: its checksum, its shape, its key computed again. Nothing when the
  // trailer has been reached and agrees with everything that was read. DataLoss as above.
  absl::StatusOr<std::optional<ArchiveEntry>> Next();

  // Targets read so far, and the bytes of their values.
  uint64_t entries() const { return entries_; }
  uint64_t bytes() const { return bytes_; }

 private:
  absl::Status Read(size_t size, std::string& out);
  absl::StatusOr<ArchiveEntry> ReadEntry();
  absl::Status ReadTrailer();
  absl::Status Damaged(absl::string_view why) const;

  const Input input_;
  std::vector<TargetSet> sets_;
  Sha256 digest_;
  uint64_t entries_ = 0, bytes_ = 0, position_ = 0;
};

// A reader's input over bytes in memory, which must outlive it.
ArchiveReader::Input BytesInput(absl::string_view bytes);

}  // namespace reflux
