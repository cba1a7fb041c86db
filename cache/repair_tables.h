// Table files that RocksDB cannot open any more, e.g. because they were truncated.
#pragma once

#include "absl/status/status.h"
#include "cache/rocks_handles.h"

namespace reflux {

// Takes tables that cannot be opened out of the database, and with them what they held: of `values`
// the entries, which are computed again; `index` and `order` whole, since MendFamilies rebuilds one
// from the other; `sets` whole. Each is said in the log. `handles` must have been opened without
// paranoid checks.
absl::Status RepairTables(RocksHandles& handles);

}  // namespace reflux
