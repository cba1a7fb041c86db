// Index entries as they were last seen, the newest of them: what spares a read its question to the
// index. Entries never change, they only go and come anew; an entry that is no longer true leads to
// no object, or to one that it does not describe, which whoever reads it notices.
// Thread-safe.
#pragma once

#include <deque>
#include <optional>
#include <unordered_map>

#include "absl/hash/hash.h"
#include "cache/rados/rados_format.h"
#include "common/base/mutex.h"

namespace reflux {

class RadosLocations {
 public:
  std::optional<RadosEntry> Find(const TargetKey& key) const {
    MutexLock lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return std::nullopt;
    return found->second;
  }
  void Remember(const TargetKey& key, const RadosEntry& entry) {
    MutexLock lock(mutex_);
    if (entries_.insert_or_assign(key, entry).second) order_.push_back(key);
    while (order_.size() > kMost) {
      entries_.erase(order_.front());
      order_.pop_front();
    }
  }
  void Forget(const TargetKey& key) {
    MutexLock lock(mutex_);
    entries_.erase(key);
  }

 private:
  static constexpr size_t kMost = 1 << 17;

  mutable Mutex mutex_;
  std::unordered_map<TargetKey, RadosEntry, absl::Hash<TargetKey>> entries_
      REFLUX_GUARDED_BY(mutex_);
  std::deque<TargetKey> order_ REFLUX_GUARDED_BY(mutex_);  // as remembered; may hold forgotten ones
};

}  // namespace reflux
