// Where encoded targets are kept: a map from TargetKey to bytes that checks what it returns.
//
// Thread-safe; calls block on I/O, and readers wait for no writer. A failure of the store costs
// time, never a wrong target: what Get returns has passed its checksum.
//
// Entries belong to target sets. A set is *leased* while somebody uses it: for kLeaseTerm after its
// last Get or Put, and for as long as it is pinned. A store that is full removes entries of
// unleased sets, oldest insertions first, to make room; when all is leased it stores nothing more.
// What stores share of this (counts, leases, who may go) is SetUsage (cache/set_usage.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
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
  int64_t disk_bytes = 0;       // taken on disk: with dead values and overhead; 0 in memory
  int64_t capacity_bytes = 0;   // limit of live bytes; 0: none but the disk's
  int64_t free_disk_bytes = 0;  // 0 for a store in memory
  int64_t refused = 0;          // Puts refused because the store was full
  int64_t evicted = 0;          // entries removed to make room
  bool storing = true;          // false: full or not writable, the last Put was refused
  std::string directory;        // empty for a store in memory

  // Bytes of targets that may still be stored without an eviction.
  int64_t room_bytes() const {
    if (capacity_bytes <= 0) return free_disk_bytes;
    return std::min(free_disk_bytes, std::max<int64_t>(0, capacity_bytes - live_bytes));
  }
};

// How long the use of a set keeps eviction away from it.
inline constexpr absl::Duration kLeaseTerm = absl::Minutes(10);

// A target set as people see it.
struct StoredSet {
  TargetSetId id;
  TargetSet set;
  int64_t entries = 0;
  int64_t bytes = 0;
  absl::Time last_used = absl::UnixEpoch();
  absl::Duration pin_term;                         // as it was asked for; zero: not pinned
  absl::Time pinned_until = absl::InfinitePast();  // meaningful with a pin_term
  bool leased = false;                             // used lately or pinned
};

// Why a target is read.
enum class Use {
  kTraining,    // renews the set's lease
  kInspection,  // leaves no trace
};

// A target without its bytes, and where these lie.
struct LocatedTarget {
  EncodedTarget coming;
  TargetLocation location;
};

// An entry without its value.
struct StoredEntry {
  TargetKey key;
  TargetSetId set;
  // What the target was made from; absent when an older version stored it.
  std::optional<TargetOrigin> origin;
  int64_t bytes = 0;
};

class TargetStore {
 public:
  virtual ~TargetStore() = default;

  // NotFound: a miss. DataLoss: the entry is corrupted (Drop it and ask the teacher again). Any
  // other error: the store cannot read; treat it as a miss. The target's owner keeps the bytes
  // alive, also beyond the store; without an owner they are where `place` said, which after an
  // error may be written over.
  virtual absl::StatusOr<EncodedTarget> ReadTo(const PlaceFn& place, const TargetKey& key,
                                               Use use) = 0;
  absl::StatusOr<EncodedTarget> Read(const TargetKey& key, Use use) {
    return ReadTo(nullptr, key, use);
  }
  absl::StatusOr<EncodedTarget> Get(const TargetKey& key) { return Read(key, Use::kTraining); }

  // Reads several and calls `deliver(i, target)` for keys[i] on the calling thread, once for each
  // in their order, until it returns false. A store behind a network keeps several reads under way.
  // `place(i, coming, size)`, which may be null, is asked before.
  using DeliverManyFn = std::function<bool(size_t, absl::StatusOr<EncodedTarget>)>;
  using PlaceManyFn = std::function<char*(size_t, const EncodedTarget& coming, size_t size)>;
  virtual void ReadMany(const std::vector<TargetKey>& keys, Use use, const DeliverManyFn& deliver,
                        const PlaceManyFn& place);

  // Where the bytes of a target lie in a file of this host, for a reader that verifies them itself
  // (common/targets/located_target.h). NotFound: not stored, or in no such file: Read tells.
  virtual absl::StatusOr<LocatedTarget> Locate(const TargetKey& key, Use use);

  // Whether Get would find an entry, without reading the value. False when that cannot be told.
  virtual bool Contains(const TargetKey& key) = 0;

  // Contains for each key.
  virtual std::vector<bool> ContainsMany(const std::vector<TargetKey>& keys);

  // `origin` and `set` give `key` again. Stored when OK is returned: it survives the death of this
  // process (docs/cache_format.md says what a power failure does). OK without effect when the key
  // is present. ResourceExhausted: full of leased sets, or larger than the capacity; nothing was
  // stored; said once in the log. DataLoss: `target` does not pass its own checksum. Renews the
  // set's lease.
  virtual absl::Status Put(const TargetKey& key, const TargetSet& set, const TargetOrigin& origin,
                           const EncodedTarget& target) = 0;

  // Removes the entry; OK if there is none.
  virtual absl::Status Drop(const TargetKey& key) = 0;

  virtual StoreStats stats() const = 0;

  // Sets that hold at least one entry, by display name.
  virtual absl::StatusOr<std::vector<StoredSet>> ListSets() = 0;

  // Calls `visit` for every entry, or for those of one set, by ascending key, without reading
  // values; ends with the first error that it returns. `visit` may use the store. Entries put or
  // removed meanwhile may or may not be visited.
  virtual absl::Status Visit(const std::optional<TargetSetId>& set,
                             const std::function<absl::Status(const StoredEntry&)>& visit) = 0;

  // Removes every entry of the set, leased or not, and forgets its pin. The live bytes freed; 0 if
  // there is no such set.
  virtual absl::StatusOr<int64_t> RemoveSet(const TargetSetId& id) = 0;

  // Keeps eviction away from the set until `term` from now, whether it is used or not, also over a
  // restart; replaces an earlier pin. Zero releases. NotFound: no such set.
  virtual absl::Status Pin(const TargetSetId& id, absl::Duration term) = 0;

  // Removes entries of unleased sets, oldest insertions first, until `bytes` live bytes or more are
  // freed or nothing unleased is left. The live bytes freed.
  virtual absl::StatusOr<int64_t> Evict(int64_t bytes) = 0;

  // Gives the space of dead values back; the bytes given back. May take long.
  virtual absl::StatusOr<int64_t> Reclaim(const FetchContext& context) = 0;

  // Small facts beside the targets, e.g. the teacher's last description. NotFound if never put.
  virtual absl::StatusOr<std::string> GetMeta(const std::string& name) = 0;
  virtual absl::Status PutMeta(const std::string& name, const std::string& value) = 0;
};

}  // namespace reflux
