#include "cache/memory_target_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<EncodedTarget> MemoryTargetStore::Get(const TargetKey& key) {
  Entry entry;
  {
    MutexLock lock(mutex_);
    const auto it = entries_.find(key);
    if (it == entries_.end()) return absl::NotFoundError("target not stored");
    entry = it->second;
  }
  REFLUX_RETURN_IF_ERROR(entry.target.Verify());
  usage_.Touch(entry.set);
  return entry.target;
}

bool MemoryTargetStore::Contains(const TargetKey& key) {
  MutexLock lock(mutex_);
  return entries_.count(key) > 0;
}

absl::Status MemoryTargetStore::Put(const TargetKey& key, const TargetSet& set,
                                    const EncodedTarget& target) {
  REFLUX_RETURN_IF_ERROR(target.Verify());
  const TargetSetId id = MakeTargetSetId(set);
  MutexLock lock(mutex_);
  if (entries_.count(key) > 0) return absl::OkStatus();
  const auto bytes = static_cast<int64_t>(target.bytes.size());
  if (!usage_.Reserve(bytes, capacity_bytes_)) {
    ++refused_;
    return absl::ResourceExhaustedError(
        absl::StrCat("the store in memory is full: capacity ", capacity_bytes_, " bytes"));
  }
  entries_.emplace(key, Entry{target, id});
  usage_.Describe(id, set, absl::Now());
  usage_.Added(id, bytes);
  return absl::OkStatus();
}

absl::Status MemoryTargetStore::Drop(const TargetKey& key) {
  MutexLock lock(mutex_);
  const auto it = entries_.find(key);
  if (it == entries_.end()) return absl::OkStatus();
  usage_.Removed(it->second.set, static_cast<int64_t>(it->second.target.bytes.size()));
  entries_.erase(it);
  return absl::OkStatus();
}

StoreStats MemoryTargetStore::stats() const {
  MutexLock lock(mutex_);
  return {.entries = usage_.entries(),
          .live_bytes = usage_.bytes(),
          .capacity_bytes = capacity_bytes_,
          .refused = refused_,
          .storing = capacity_bytes_ == 0 || usage_.bytes() < capacity_bytes_};
}

absl::StatusOr<std::vector<StoredSet>> MemoryTargetStore::ListSets() {
  std::vector<StoredSet> sets = usage_.List();
  std::erase_if(sets, [](const StoredSet& set) { return set.entries == 0; });
  return sets;
}

absl::StatusOr<VerifyReport> MemoryTargetStore::Verify(const FetchContext& context) {
  std::map<TargetKey, Entry> entries;
  {
    MutexLock lock(mutex_);
    entries = entries_;
  }
  VerifyReport report;
  for (const auto& [key, entry] : entries) {
    REFLUX_RETURN_IF_ERROR(context.Check());
    ++report.entries;
    report.bytes += static_cast<int64_t>(entry.target.bytes.size());
    if (entry.target.Verify().ok()) continue;
    ++report.corrupted;
    REFLUX_RETURN_IF_ERROR(Drop(key));
  }
  return report;
}

absl::StatusOr<std::string> MemoryTargetStore::GetMeta(const std::string& name) {
  MutexLock lock(mutex_);
  const auto it = meta_.find(name);
  if (it == meta_.end()) return absl::NotFoundError(absl::StrCat("no ", name, " stored"));
  return it->second;
}

absl::Status MemoryTargetStore::PutMeta(const std::string& name, const std::string& value) {
  MutexLock lock(mutex_);
  meta_[name] = value;
  return absl::OkStatus();
}

}  // namespace reflux
