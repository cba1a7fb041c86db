// Where in its table file RocksDB keeps a value, so that the value can be read from there straight
// into its place, in pieces, past RocksDB's own block buffers. Thread-safe.
//
// A table of `values` is an ordinary block-based table (docs/cache_format.md): a value of more than
// RocksDB's block size has a data block of its own, uncompressed, which begins with the entry's
// lengths and key. RocksDB itself finds the block: a file system that looks on learns from its read
// which file and offset that is. What stands there is believed only if it is the entry that was
// looked for; in any other case there is no location, and RocksDB reads the value as usual.
#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "cache/index_record.h"
#include "cache/rocks_handles.h"

namespace reflux {

// Smaller values may share a block.
inline constexpr uint64_t kLeastLocatedBytes = uint64_t{8} << 10;

struct ValueLocation {
  std::shared_ptr<rocksdb::FSRandomAccessFile> file;  // stays readable when it is deleted
  std::string path;                                   // as RocksDB names it
  uint64_t offset = 0;                                // of the value's first byte

  // `size` bytes of the value from `at` on. DataLoss for a file that ends before.
  absl::Status Read(char* out, uint64_t at, uint64_t size) const;
};

// The default environment, whose files can be located; to be given to the database.
std::unique_ptr<rocksdb::Env> MakeLocatingEnv();

// Where the value of `record` is, if that could be told; otherwise `status` is that of a Get, and
// `value` what it found. `handles` were opened with an environment of MakeLocatingEnv.
struct LocatedOrRead {
  std::optional<ValueLocation> location;
  rocksdb::Status status;
};
LocatedOrRead LocateOrRead(const RocksHandles& handles, const IndexRecord& record,
                           rocksdb::PinnableSlice& value);

}  // namespace reflux
