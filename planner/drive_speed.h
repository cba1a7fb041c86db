// How fast the drive below a folder writes and reads, past the page cache. Torch-free.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace reflux {

struct DriveSpeed {
  double write = 0, read = 0;  // bytes a second
  int64_t bytes = 0;           // written and read; 0: it was not measured
  // False: the file system has no O_DIRECT (tmpfs), the speeds are those of memory.
  bool past_page_cache = true;
  // The last quarter was written at less than 0.7 of the speed of the first: the drive's own fast
  // cache was left behind, and `write` is the speed of that last quarter.
  bool slowed = false;
};

struct DriveSpeedOptions {
  int64_t bytes = int64_t{256} << 20;
  absl::Duration limit = absl::Seconds(20);  // for writing, and again for reading
};

// Writes a temporary file in `folder` (which must exist) with O_DIRECT in blocks of 4 MiB, syncs
// it, reads it back and removes it. At most a tenth of the free disk is used. Errors: of the system
// calls; ResourceExhausted when there is no room for a block.
absl::StatusOr<DriveSpeed> MeasureDriveSpeed(const std::string& folder,
                                             const DriveSpeedOptions& options = {});

}  // namespace reflux
