// The table files of `values`: what RocksDB can give back at once, without compaction.
//
// Values are appended under ascending numbers and never overwritten or deleted one by one, so each
// table holds an interval of insertion numbers of its own. A table of which no entry lives is
// deleted as a file (docs/decisions/0006-eviction-by-table.md).
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "cache/rocks_handles.h"

namespace reflux {

struct ValueTable {
  uint64_t first = 0, last = 0;  // insertion numbers, both in it
  int64_t bytes = 0;
  int level = 0;
};

// Those on disk, oldest first; values in memory and in the log are in none.
std::vector<ValueTable> ListValueTables(const RocksHandles& handles);

// Writes what is in memory into tables.
absl::Status FlushValues(RocksHandles& handles);

// Deletes the table; nothing in [first, last] may be alive, and that must have reached the disk.
absl::Status DeleteValueTable(RocksHandles& handles, const ValueTable& table);

// Bytes of all tables, and what is in the log alone.
int64_t DiskBytes(const RocksHandles& handles);

}  // namespace reflux
