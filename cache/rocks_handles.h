// An open RocksDB in the layout of docs/cache_format.md, and its errors in our words.
#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// Version of the folder's layout: FORMAT, column families and their records.
inline constexpr int kCacheFormatVersion = 1;

struct RocksHandles {
  RocksHandles() = default;
  RocksHandles(const RocksHandles&) = delete;
  RocksHandles& operator=(const RocksHandles&) = delete;
  ~RocksHandles();

  std::unique_ptr<rocksdb::DB> db;
  // Column families, owned here.
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  rocksdb::ColumnFamilyHandle* values = nullptr;
  rocksdb::ColumnFamilyHandle* index = nullptr;
  rocksdb::ColumnFamilyHandle* sets = nullptr;
};

// Opens or creates the cache in `directory`. Errors, each with what to do:
//   FailedPrecondition  locked by another process (named), or of another format version
//   PermissionDenied    not writable
//   DataLoss            damaged beyond opening
absl::StatusOr<std::shared_ptr<RocksHandles>> OpenRocks(const std::string& directory);

// NotFound, DataLoss (corruption), ResourceExhausted (no space), else Internal: "<what>:
// <message>".
absl::Status FromRocks(const rocksdb::Status& status, absl::string_view what);

inline rocksdb::Slice ToSlice(absl::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline absl::string_view FromSlice(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace reflux
