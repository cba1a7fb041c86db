// What a store holds, counted by target set and in all. Thread-safe, in memory.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "cache/target_store.h"
#include "common/base/mutex.h"

namespace reflux {

class SetUsage {
 public:
  // Makes the set known. False when it was: then only a missing model name is filled in.
  bool Describe(const TargetSetId& id, const TargetSet& set,
                absl::Time last_used = absl::UnixEpoch());
  bool Knows(const TargetSetId& id) const;

  // Counts `bytes` more in all, unless the total would exceed `capacity_bytes` (0: no limit).
  bool Reserve(int64_t bytes, int64_t capacity_bytes);
  void CancelReservation(int64_t bytes);
  // An entry whose bytes were reserved before is there / an entry is gone.
  void Added(const TargetSetId& id, int64_t bytes);
  void Removed(const TargetSetId& id, int64_t bytes);
  void Touch(const TargetSetId& id);

  int64_t entries() const;
  int64_t bytes() const;  // with reservations
  // Every set known, also empty ones, by display name.
  std::vector<StoredSet> List() const;

 private:
  mutable Mutex mutex_;
  std::map<TargetSetId, StoredSet> sets_ REFLUX_GUARDED_BY(mutex_);
  int64_t entries_ REFLUX_GUARDED_BY(mutex_) = 0;
  int64_t bytes_ REFLUX_GUARDED_BY(mutex_) = 0;
};

}  // namespace reflux
