// What a store holds, counted by target set and in all, and which sets are leased. Thread-safe, in
// memory. Leases run on the clock's uptime: setting the machine's clock neither ends nor prolongs
// them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "cache/target_store.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace reflux {

class SetUsage {
 public:
  // `clock` must outlive this.
  explicit SetUsage(const Clock& clock = SystemClock()) : clock_(clock) {}

  // Makes the set known. False when it was: then only a missing model name is filled in.
  bool Describe(const TargetSetId& id, const TargetSet& set);
  // Makes a set known as it was written down: description, last use, pin. Its lease goes on for a
  // whole term when the last use is within one term of now or later, so that jobs find their sets
  // again after a restart; a pin never lasts longer from now than it was asked for.
  void Restore(const StoredSet& set);
  bool Knows(const TargetSetId& id) const;
  std::optional<StoredSet> Find(const TargetSetId& id) const;

  // Counts `bytes` more in all, unless the total would exceed `capacity_bytes` (0: no limit).
  bool Reserve(int64_t bytes, int64_t capacity_bytes);
  void CancelReservation(int64_t bytes);
  // Entries whose bytes were reserved before are there / an entry is gone.
  void Added(const TargetSetId& id, int64_t bytes, int64_t entries = 1);
  void Removed(const TargetSetId& id, int64_t bytes);

  // Others added to the set, or took away, so much.
  void Adjust(const TargetSetId& id, int64_t entries, int64_t bytes);

  // Used now: renews the lease. True when the last use should be written down: once a minute.
  bool Touch(const TargetSetId& id);
  // From now; zero releases. False when the set is not known or holds nothing.
  bool Pin(const TargetSetId& id, absl::Duration term);
  bool Leased(const TargetSetId& id) const;
  // Live bytes of sets that are not leased.
  int64_t UnleasedBytes() const;

  int64_t entries() const;
  int64_t bytes() const;  // with reservations
  // Every set known, also empty ones, by display name.
  std::vector<StoredSet> List() const;

 private:
  struct Usage {
    StoredSet set;
    bool described = false;  // false: the set's name is lost
    // Uptimes. Nothing was leased before the machine was switched on.
    absl::Duration leased_until = -absl::InfiniteDuration();
    absl::Duration pinned_until = -absl::InfiniteDuration();
    absl::Duration written_down = -absl::InfiniteDuration();
  };
  static bool Leased(const Usage& usage, absl::Duration uptime);
  StoredSet Shown(const Usage& usage) const;

  const Clock& clock_;
  mutable Mutex mutex_;
  std::map<TargetSetId, Usage> sets_ REFLUX_GUARDED_BY(mutex_);
  int64_t entries_ REFLUX_GUARDED_BY(mutex_) = 0;
  int64_t bytes_ REFLUX_GUARDED_BY(mutex_) = 0;
};

// How much to free when `excess` bytes are wanted: more than that, so that a full store does not
// evict at every Put.
int64_t EvictionGoal(int64_t excess_bytes, int64_t capacity_bytes);

}  // namespace reflux
