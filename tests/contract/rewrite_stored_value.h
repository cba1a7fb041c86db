// Changes stored targets behind the cache's back: the corruption and negative-control tests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace reflux {

enum class IndexChecksum {
  kRewritten,  // the changed value passes for the right one
  kKept,       // the change is a corruption
};

// Applies `change` to the value of the entry with the `which`-th lowest insertion number (0: the
// oldest) of the RocksTargetStore in `directory`. `change` must keep the size. The store must be
// closed; the errors of OpenRocks, OutOfRange when there are not that many entries.
absl::Status RewriteStoredValue(const std::string& directory, int64_t which,
                                const std::function<void(std::string&)>& change,
                                IndexChecksum checksum = IndexChecksum::kRewritten);

}  // namespace reflux
