// Small facts that a job keeps in its cache beside the targets, and what the cache has room for.
// Thread-safe; calls block, and fail rather than wait for a cache that is away.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cache/target_store.h"

namespace reflux {

class CacheNotes {
 public:
  virtual ~CacheNotes() = default;
  // NotFound when it was never kept. Names and sizes are bounded as the protocol says (Note).
  virtual absl::StatusOr<std::string> Get(const std::string& name) = 0;
  virtual absl::Status Keep(const std::string& name, const std::string& value) = 0;
  // Bytes of targets that the cache may still take; an error when that is not known.
  virtual absl::StatusOr<int64_t> FreeBytes() = 0;
};

// Of a store in this process; `store` must outlive it.
std::unique_ptr<CacheNotes> MakeStoreNotes(TargetStore& store);
// Of the cache servers that a job was given (common/rpc/server_list.h): the first of them keeps the
// notes. Unimplemented when a teacher is there.
std::unique_ptr<CacheNotes> MakeRemoteNotes(const std::string& servers);

}  // namespace reflux
