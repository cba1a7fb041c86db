// Whether stored data lie in memory. Torch-free.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace reflux {

struct CachedFiles {
  int64_t bytes = 0;         // of all files, linked ones once
  int64_t cached_bytes = 0;  // of these, in the page cache
};

// Of the files below `folder`. The system tells only of files that we may write.
absl::StatusOr<CachedFiles> LookAtPageCache(const std::string& folder);

}  // namespace reflux
