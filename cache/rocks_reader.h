// The targets in a folder that another process of this host has open, read without asking it: a
// secondary instance of its RocksDB, which follows the owner's log.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cache/rocks_handles.h"
#include "cache/target_store.h"
#include "common/targets/target_key.h"

namespace reflux {

// Thread-safe. Writes nothing into the folder. Between two catch-ups it sees the store as it was at
// the first: what is newer is a miss; what was removed since may still be there (and is as right as
// it ever was; its disk space is free only after the next catch-up). Holds up to the owner's
// unwritten log, about 100 MB, in memory.
class RocksReader {
 public:
  // Errors of OpenRocksToRead.
  static absl::StatusOr<std::unique_ptr<RocksReader>> Open(const std::string& directory);

  // NotFound: a miss. Any other error is to be treated as one. What is returned has passed its
  // checksum; the target's owner keeps the bytes alive, also beyond the reader.
  absl::StatusOr<EncodedTarget> Get(const TargetKey& key, const PlaceFn& place = nullptr);

  // Takes in what the owner has done since. After an error the reader should be opened anew. May
  // run beside Get.
  absl::Status CatchUp();

 private:
  explicit RocksReader(std::shared_ptr<RocksHandles> handles) : handles_(std::move(handles)) {}
  const std::shared_ptr<RocksHandles> handles_;
};

}  // namespace reflux
