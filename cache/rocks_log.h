// RocksDB's own messages, into our log.
#pragma once

#include <rocksdb/env.h>

#include <memory>

namespace reflux {

// Errors and warnings, for debugging: what matters of them comes to us as a status. Not RocksDB's
// log file: on a full disk its builds with assertions, such as Debian's, end the process when they
// cannot write it.
std::shared_ptr<rocksdb::Logger> MakeRocksLog();

}  // namespace reflux
