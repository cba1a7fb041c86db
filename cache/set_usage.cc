#include "cache/set_usage.h"

#include <algorithm>
#include <utility>

namespace reflux {

bool SetUsage::Describe(const TargetSetId& id, const TargetSet& set) {
  MutexLock lock(mutex_);
  Usage& usage = sets_[id];
  const bool news = !std::exchange(usage.described, true);
  if (news) {
    usage.set.id = id;
    usage.set.set = set;
  }
  if (usage.set.set.model.empty()) usage.set.set.model = set.model;
  return news;
}

void SetUsage::Restore(const StoredSet& set) {
  const absl::Time now = clock_.Now();
  const absl::Duration uptime = clock_.Uptime();
  MutexLock lock(mutex_);
  Usage& usage = sets_[set.id];
  usage.described = true;
  usage.set.id = set.id;
  usage.set.set = set.set;
  usage.set.last_used = set.last_used;
  if (set.last_used > now - kLeaseTerm) usage.leased_until = uptime + kLeaseTerm;
  const absl::Duration left = std::min(set.pinned_until - now, set.pin_term);
  if (left <= absl::ZeroDuration()) return;
  usage.set.pin_term = set.pin_term;
  usage.pinned_until = uptime + left;
}

bool SetUsage::Knows(const TargetSetId& id) const {
  MutexLock lock(mutex_);
  const auto it = sets_.find(id);
  return it != sets_.end() && it->second.described;
}

std::optional<StoredSet> SetUsage::Find(const TargetSetId& id) const {
  MutexLock lock(mutex_);
  const auto it = sets_.find(id);
  if (it == sets_.end()) return std::nullopt;
  return Shown(it->second);
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

void SetUsage::Added(const TargetSetId& id, int64_t bytes, int64_t entries) {
  MutexLock lock(mutex_);
  StoredSet& set = sets_[id].set;
  set.id = id;
  set.entries += entries;
  set.bytes += bytes;
  entries_ += entries;
}

void SetUsage::Removed(const TargetSetId& id, int64_t bytes) {
  MutexLock lock(mutex_);
  StoredSet& set = sets_[id].set;
  --set.entries;
  set.bytes -= bytes;
  --entries_;
  bytes_ -= bytes;
}

void SetUsage::Adjust(const TargetSetId& id, int64_t entries, int64_t bytes) {
  MutexLock lock(mutex_);
  StoredSet& set = sets_[id].set;
  set.id = id;
  set.entries += entries;
  set.bytes += bytes;
  entries_ += entries;
  bytes_ += bytes;
}

bool SetUsage::Touch(const TargetSetId& id) {
  const absl::Time now = clock_.Now();
  const absl::Duration uptime = clock_.Uptime();
  MutexLock lock(mutex_);
  const auto it = sets_.find(id);
  if (it == sets_.end()) return false;
  it->second.set.last_used = now;
  it->second.leased_until = uptime + kLeaseTerm;
  if (uptime < it->second.written_down + absl::Minutes(1)) return false;
  it->second.written_down = uptime;
  return true;
}

bool SetUsage::Pin(const TargetSetId& id, absl::Duration term) {
  const absl::Duration uptime = clock_.Uptime();
  MutexLock lock(mutex_);
  const auto it = sets_.find(id);
  if (it == sets_.end() || it->second.set.entries == 0) return false;
  it->second.set.pin_term = std::max(term, absl::ZeroDuration());
  it->second.pinned_until = uptime + it->second.set.pin_term;
  return true;
}

bool SetUsage::Leased(const Usage& usage, absl::Duration uptime) {
  return usage.leased_until > uptime || usage.pinned_until > uptime;
}

bool SetUsage::Leased(const TargetSetId& id) const {
  const absl::Duration uptime = clock_.Uptime();
  MutexLock lock(mutex_);
  const auto it = sets_.find(id);
  return it != sets_.end() && Leased(it->second, uptime);
}

int64_t SetUsage::UnleasedBytes() const {
  const absl::Duration uptime = clock_.Uptime();
  MutexLock lock(mutex_);
  int64_t bytes = 0;
  for (const auto& [id, usage] : sets_) {
    if (!Leased(usage, uptime)) bytes += usage.set.bytes;
  }
  return bytes;
}

int64_t SetUsage::entries() const {
  MutexLock lock(mutex_);
  return entries_;
}

int64_t SetUsage::bytes() const {
  MutexLock lock(mutex_);
  return bytes_;
}

StoredSet SetUsage::Shown(const Usage& usage) const {
  const absl::Duration uptime = clock_.Uptime();
  StoredSet set = usage.set;
  set.leased = Leased(usage, uptime);
  if (usage.pinned_until > uptime) {
    set.pinned_until = clock_.Now() + (usage.pinned_until - uptime);
  } else {
    set.pin_term = absl::ZeroDuration();
    set.pinned_until = absl::InfinitePast();
  }
  return set;
}

std::vector<StoredSet> SetUsage::List() const {
  std::vector<StoredSet> list;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, usage] : sets_) list.push_back(Shown(usage));
  }
  std::stable_sort(list.begin(), list.end(), [](const StoredSet& a, const StoredSet& b) {
    return std::make_pair(a.set.DisplayName(), a.set.spec) <
           std::make_pair(b.set.DisplayName(), b.set.spec);
  });
  return list;
}

int64_t EvictionGoal(int64_t excess_bytes, int64_t capacity_bytes) {
  constexpr int64_t kMost = int64_t{256} << 20;
  return std::max(excess_bytes, std::min(capacity_bytes / 64, kMost));
}

}  // namespace reflux
