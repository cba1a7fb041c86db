// Where encoded targets are kept: a map from TargetKey to bytes that checks what it returns.
//
// Thread-safe; calls block on I/O and hold no lock meanwhile. A failure of the store costs time,
// never a wrong target: what Get returns has passed its checksum.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/targets/target.h"
#include "common/targets/target_key.h"

namespace reflux {

struct StoreStats {
  int64_t entries = 0;
  int64_t live_bytes = 0;       // of values
  int64_t capacity_bytes = 0;   // 0: no limit but the disk's
  int64_t free_disk_bytes = 0;  // 0 for a store in memory
  int64_t refused = 0;          // Puts refused because the store was full
  bool storing = true;          // false: full or not writable, Put refuses
  std::string directory;        // empty for a store in memory
};

// A target set as people see it.
struct StoredSet {
  TargetSetId id;
  TargetSet set;
  int64_t entries = 0;
  int64_t bytes = 0;
  absl::Time last_used = absl::UnixEpoch();
};

struct VerifyReport {
  int64_t entries = 0;  // read
  int64_t bytes = 0;
  int64_t corrupted = 0;  // of these, dropped
};

class TargetStore {
 public:
  virtual ~TargetStore() = default;

  // NotFound: a miss. DataLoss: the entry is corrupted (Drop it and ask the teacher again). Any
  // other error: the store cannot read; treat it as a miss. The target's owner keeps the bytes
  // alive, also beyond the store.
  virtual absl::StatusOr<EncodedTarget> Get(const TargetKey& key) = 0;

  // Whether Get would find an entry, without reading the value. False when that cannot be told.
  virtual bool Contains(const TargetKey& key) = 0;

  // Stored when OK is returned: it survives the death of this process (docs/cache_format.md says
  // what a power failure does). OK without effect when the key is present. ResourceExhausted: full,
  // nothing was stored; said once in the log. DataLoss: `target` does not pass its own checksum.
  virtual absl::Status Put(const TargetKey& key, const TargetSet& set,
                           const EncodedTarget& target) = 0;

  // Removes the entry; OK if there is none.
  virtual absl::Status Drop(const TargetKey& key) = 0;

  virtual StoreStats stats() const = 0;

  // Sets that hold at least one entry, by display name.
  virtual absl::StatusOr<std::vector<StoredSet>> ListSets() = 0;

  // Reads everything and drops what is corrupted. Ends early with the context's status.
  virtual absl::StatusOr<VerifyReport> Verify(const FetchContext& context) = 0;

  // Small facts beside the targets, e.g. the teacher's last description. NotFound if never put.
  virtual absl::StatusOr<std::string> GetMeta(const std::string& name) = 0;
  virtual absl::Status PutMeta(const std::string& name, const std::string& value) = 0;
};

}  // namespace reflux
