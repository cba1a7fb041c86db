// An open RocksDB in the layout of docs/cache_format.md, and its errors in our words.
#pragma once

#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/block_pool.h"

namespace reflux {

// Version of the folder's layout: FORMAT, column families and their records.
inline constexpr int kCacheFormatVersion = 3;
// The oldest that is read; such a folder is raised to the version above when it is opened.
inline constexpr int kOldestCacheFormatVersion = 1;

inline constexpr int64_t kDefaultTableBytes = int64_t{64} << 20;

struct RocksHandles {
  RocksHandles() = default;
  RocksHandles(const RocksHandles&) = delete;
  RocksHandles& operator=(const RocksHandles&) = delete;
  ~RocksHandles();

  BlockPool blocks{size_t{64} << 20};  // for values that are read to no place
  std::unique_ptr<rocksdb::Env> env;   // of `db`
  std::unique_ptr<rocksdb::DB> db;
  // Column families, owned here.
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  rocksdb::ColumnFamilyHandle* values = nullptr;
  rocksdb::ColumnFamilyHandle* index = nullptr;
  rocksdb::ColumnFamilyHandle* order = nullptr;
  rocksdb::ColumnFamilyHandle* sets = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> families() const {
    return {meta, values, index, order, sets};
  }

  // Replaces a family by an empty one of the same name.
  absl::Status Recreate(rocksdb::ColumnFamilyHandle*& family);
};

// Opens or creates the cache in `directory`, of this format or an older one, which lacks `order`
// (MendFamilies makes it). What is damaged of its log and its tables is given up,
// which is said in the log: those targets are misses. Errors, each with what to do:
//   FailedPrecondition  locked by another process (named), or of another format version
//   PermissionDenied    not writable
//   DataLoss            damaged beyond opening
//
// `table_bytes`: of a table of values, and of the memory in which it is made (two of them).
absl::StatusOr<std::shared_ptr<RocksHandles>> OpenRocks(const std::string& directory,
                                                        int64_t table_bytes = kDefaultTableBytes);

// As many open files as this process may have: every table wants a descriptor. For the whole
// process; a server's main does it.
void RaiseDescriptorLimit();

// NotFound, DataLoss (corruption), ResourceExhausted (no space), else Internal: "<what>:
// <message>".
absl::Status FromRocks(const rocksdb::Status& status, absl::string_view what);

inline rocksdb::Slice ToSlice(absl::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline absl::string_view FromSlice(const rocksdb::Slice& bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace reflux
