#include "cache/memory_target_store.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

int64_t SizeOf(const EncodedTarget& target) { return static_cast<int64_t>(target.bytes.size()); }

}  // namespace

absl::StatusOr<EncodedTarget> MemoryTargetStore::ReadTo(const PlaceFn&, const TargetKey& key,
                                                        Use use) {
  Entry entry;
  {
    MutexLock lock(mutex_);
    const auto it = entries_.find(key);
    if (it == entries_.end()) return absl::NotFoundError("target not stored");
    entry = it->second;
  }
  REFLUX_RETURN_IF_ERROR(entry.target.Verify());
  if (use == Use::kTraining) usage_.Touch(entry.set);
  return entry.target;
}

bool MemoryTargetStore::Contains(const TargetKey& key) {
  MutexLock lock(mutex_);
  return entries_.count(key) > 0;
}

absl::Status MemoryTargetStore::Put(const TargetKey& key, const TargetSet& set,
                                    const TargetOrigin& origin, const EncodedTarget& target) {
  REFLUX_RETURN_IF_ERROR(target.Verify());
  const TargetSetId id = MakeTargetSetId(set);
  MutexLock lock(mutex_);
  if (entries_.count(key) > 0) return absl::OkStatus();
  usage_.Describe(id, set);
  usage_.Touch(id);
  storing_ = MakeRoom(SizeOf(target));
  if (!storing_) {
    ++refused_;
    return absl::ResourceExhaustedError(
        absl::StrCat("the store in memory is full: capacity ", capacity_bytes_, " bytes"));
  }
  entries_.emplace(key, Entry{target, id, origin, next_insertion_});
  by_insertion_.emplace(next_insertion_++, key);
  usage_.Added(id, SizeOf(target));
  return absl::OkStatus();
}

bool MemoryTargetStore::MakeRoom(int64_t bytes) {
  if (usage_.Reserve(bytes, capacity_bytes_)) return true;
  const int64_t excess = usage_.bytes() + bytes - capacity_bytes_;
  if (excess > usage_.UnleasedBytes()) return false;  // nothing goes in vain
  const int64_t before = usage_.entries();
  Remove(excess, [this](const TargetSetId& set) { return !usage_.Leased(set); });
  evicted_ += before - usage_.entries();
  return usage_.Reserve(bytes, capacity_bytes_);
}

int64_t MemoryTargetStore::Remove(int64_t bytes,
                                  const std::function<bool(const TargetSetId&)>& chosen) {
  int64_t freed = 0;
  for (auto it = by_insertion_.begin(); it != by_insertion_.end() && freed < bytes;) {
    const TargetKey key = (it++)->second;
    const Entry& entry = entries_.at(key);
    if (!chosen(entry.set)) continue;
    freed += SizeOf(entry.target);
    Erase(key);
  }
  return freed;
}

void MemoryTargetStore::Erase(const TargetKey& key) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) return;
  usage_.Removed(it->second.set, SizeOf(it->second.target));
  by_insertion_.erase(it->second.insertion);
  entries_.erase(it);
}

absl::Status MemoryTargetStore::Drop(const TargetKey& key) {
  MutexLock lock(mutex_);
  Erase(key);
  return absl::OkStatus();
}

StoreStats MemoryTargetStore::stats() const {
  MutexLock lock(mutex_);
  return {.entries = usage_.entries(),
          .live_bytes = usage_.bytes(),
          .capacity_bytes = capacity_bytes_,
          .refused = refused_,
          .evicted = evicted_,
          .storing = storing_};
}

absl::StatusOr<std::vector<StoredSet>> MemoryTargetStore::ListSets() {
  std::vector<StoredSet> sets = usage_.List();
  std::erase_if(sets, [](const StoredSet& set) { return set.entries == 0; });
  return sets;
}

absl::Status MemoryTargetStore::Visit(
    const std::optional<TargetSetId>& set,
    const std::function<absl::Status(const StoredEntry&)>& visit) {
  std::vector<StoredEntry> entries;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, entry] : entries_) {
      if (!set.has_value() || entry.set == *set) {
        entries.push_back({key, entry.set, entry.origin, SizeOf(entry.target)});
      }
    }
  }
  for (const StoredEntry& entry : entries) REFLUX_RETURN_IF_ERROR(visit(entry));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> MemoryTargetStore::RemoveSet(const TargetSetId& id) {
  MutexLock lock(mutex_);
  usage_.Pin(id, absl::ZeroDuration());
  return Remove(std::numeric_limits<int64_t>::max(),
                [&id](const TargetSetId& set) { return set == id; });
}

absl::Status MemoryTargetStore::Pin(const TargetSetId& id, absl::Duration term) {
  if (usage_.Pin(id, term)) return absl::OkStatus();
  return absl::NotFoundError("no such target set");
}

absl::StatusOr<int64_t> MemoryTargetStore::Evict(int64_t bytes) {
  MutexLock lock(mutex_);
  const int64_t before = usage_.entries();
  const int64_t freed =
      Remove(bytes, [this](const TargetSetId& set) { return !usage_.Leased(set); });
  evicted_ += before - usage_.entries();
  return freed;
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
