// What a cache holds, asked of its server or of its folder: which of a list of targets are there,
// and in which sets. No value is read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache/target_store.h"
#include "common/targets/target.h"

namespace reflux {

// Thread-safe; calls block.
class CacheInventory {
 public:
  virtual ~CacheInventory() = default;
  // For each sample of `request`, for each of its specs: whether the target is stored. Errors:
  // InvalidArgument for a request out of bounds, those of the connection.
  virtual absl::StatusOr<std::vector<bool>> Held(const TargetRequest& request) = 0;
  // Sets that hold at least one entry.
  virtual absl::StatusOr<std::vector<StoredSet>> Sets() = 0;
  // Of a server: entries, bytes, capacity, free disk, whether it stores, folder.
  virtual absl::StatusOr<StoreStats> Stats() = 0;
};

// Of cache servers (common/rpc/server_list.h), as if they were one: a target is held when one of
// them holds it. Unavailable when one is not there.
std::unique_ptr<CacheInventory> MakeRemoteInventory(const std::string& servers);
// Of an open store, which is not owned.
std::unique_ptr<CacheInventory> MakeStoreInventory(TargetStore& store);
// Of the cache's folder, which is opened here; a folder that does not exist holds nothing, and is
// not created. FailedPrecondition when another process has it open.
absl::StatusOr<std::unique_ptr<CacheInventory>> OpenFolderInventory(const std::string& directory);

// What Held answers for a store.
std::vector<bool> HeldIn(TargetStore& store, const TargetRequest& request);

}  // namespace reflux
