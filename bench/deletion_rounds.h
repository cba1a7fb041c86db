// Why values lie under ascending numbers and go by whole tables: the alternatives, on RocksDB
// alone.
#pragma once

#include <vector>

#include "bench/store_rounds.h"

namespace reflux {

// For each way: fill, then delete the older half. Ways: ascending keys and deletion of tables
// (ours), ascending keys and DeleteRange, hashed keys and single deletions.
absl::Status MeasureDeletion(const StoreBenchOptions& options, std::vector<StoreRow>& rows);

}  // namespace reflux
