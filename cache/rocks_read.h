// How stored targets are read from a RocksDB in our layout, by the process that owns the folder and
// by others that look on. Thread-safe; waits for no writer.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "cache/index_record.h"
#include "cache/rocks_handles.h"
#include "cache/target_store.h"
#include "common/targets/target_key.h"

namespace reflux {

struct StoredTarget {
  IndexRecord record;
  EncodedTarget target;
};

// NotFound: not stored. DataLoss: damaged.
absl::StatusOr<IndexRecord> ReadRecord(const RocksHandles& handles, const TargetKey& key);

// The target that `record` describes, checked. Its bytes are where `place` says, or in memory that
// its owner keeps (with the database, if it is RocksDB's). DataLoss: damaged. NotFound: gone, so
// the entry was moved or removed since the record was read.
absl::StatusOr<EncodedTarget> ReadValue(const std::shared_ptr<RocksHandles>& handles,
                                        const IndexRecord& record, const PlaceFn& place = nullptr);

// Where the value of `record` lies, unchecked. NotFound: in no table, small, or gone.
absl::StatusOr<LocatedTarget> LocateTarget(const RocksHandles& handles, const IndexRecord& record);

// Both, also while the entry is moved or removed. NotFound: not stored. DataLoss: damaged, or an
// entry without its value.
absl::StatusOr<StoredTarget> ReadTarget(const std::shared_ptr<RocksHandles>& handles,
                                        const TargetKey& key, const PlaceFn& place = nullptr);

}  // namespace reflux
