// How stored targets are read from a RocksDB in our layout, by the process that owns the folder and
// by others that look on. Thread-safe.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "cache/index_record.h"
#include "cache/rocks_handles.h"
#include "common/targets/target.h"
#include "common/targets/target_key.h"

namespace reflux {

// NotFound: not stored. DataLoss: damaged.
absl::StatusOr<IndexRecord> ReadRecord(RocksHandles& handles, const TargetKey& key);

// The target that `record` describes, checked, without a copy: its owner keeps the block that
// RocksDB read, and the database. DataLoss: damaged, or gone.
absl::StatusOr<EncodedTarget> ReadValue(const std::shared_ptr<RocksHandles>& handles,
                                        const IndexRecord& record);

}  // namespace reflux
