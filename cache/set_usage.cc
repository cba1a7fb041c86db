#include "cache/set_usage.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace reflux {

bool SetUsage::Describe(const TargetSetId& id, const TargetSet& set, absl::Time last_used) {
  MutexLock lock(mutex_);
  const auto [it, inserted] = sets_.try_emplace(id, StoredSet{.id = id, .set = set});
  it->second.last_used = std::max(it->second.last_used, last_used);
  if (it->second.set.model.empty()) it->second.set.model = set.model;
  return inserted;
}

bool SetUsage::Knows(const TargetSetId& id) const {
  MutexLock lock(mutex_);
  return sets_.count(id) > 0;
}

bool SetUsage::Reserve(int64_t bytes, int64_t capacity_bytes) {
  MutexLock lock(mutex_);
  if (capacity_bytes > 0 && bytes_ + bytes > capacity_bytes) return false;
  bytes_ += bytes;
  return true;
}

void SetUsage::CancelReservation(int64_t bytes) {
  MutexLock lock(mutex_);
  bytes_ -= bytes;
}

void SetUsage::Added(const TargetSetId& id, int64_t bytes) {
  MutexLock lock(mutex_);
  StoredSet& set = sets_[id];
  ++set.entries;
  set.bytes += bytes;
  ++entries_;
}

void SetUsage::Removed(const TargetSetId& id, int64_t bytes) {
  MutexLock lock(mutex_);
  StoredSet& set = sets_[id];
  --set.entries;
  set.bytes -= bytes;
  --entries_;
  bytes_ -= bytes;
}

void SetUsage::Touch(const TargetSetId& id) {
  const absl::Time now = absl::Now();
  MutexLock lock(mutex_);
  const auto it = sets_.find(id);
  if (it != sets_.end()) it->second.last_used = now;
}

int64_t SetUsage::entries() const {
  MutexLock lock(mutex_);
  return entries_;
}

int64_t SetUsage::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

std::vector<StoredSet> SetUsage::List() const {
  std::vector<StoredSet> list;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, set] : sets_) list.push_back(set);
  }
  std::stable_sort(list.begin(), list.end(), [](const StoredSet& a, const StoredSet& b) {
    return std::make_pair(a.set.DisplayName(), a.set.spec) <
           std::make_pair(b.set.DisplayName(), b.set.spec);
  });
  return list;
}

}  // namespace reflux
