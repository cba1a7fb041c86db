// `index` and `order` name the same entries; either can be rebuilt from the other.
#pragma once

#include "absl/status/status.h"
#include "cache/rocks_handles.h"

namespace reflux {

// Reads both. When one is missing (formats 1 and 2 had no `order`), damaged or shorter, it is rebuilt from
// the other, which is said in the log. DataLoss when both are damaged.
absl::Status MendFamilies(RocksHandles& handles);

}  // namespace reflux
