// A TargetStore in memory: for tests and for jobs that want no disk. Everything is lost with it.
#pragma once

#include <map>
#include <string>

#include "cache/set_usage.h"
#include "cache/target_store.h"

namespace reflux {

class MemoryTargetStore : public TargetStore {
 public:
  // `capacity_bytes`: of values; 0: no limit. `clock` must outlive the store.
  explicit MemoryTargetStore(int64_t capacity_bytes = 0, const Clock& clock = SystemClock())
      : capacity_bytes_(capacity_bytes), usage_(clock) {}

  absl::StatusOr<EncodedTarget> ReadTo(const PlaceFn& place, const TargetKey& key,
                                       Use use) override;
  bool Contains(const TargetKey& key) override;
  absl::Status Put(const TargetKey& key, const TargetSet& set, const TargetOrigin& origin,
                   const EncodedTarget& target) override;
  absl::Status Drop(const TargetKey& key) override;
  StoreStats stats() const override;
  absl::StatusOr<std::vector<StoredSet>> ListSets() override;
  absl::Status Visit(const std::optional<TargetSetId>& set,
                     const std::function<absl::Status(const StoredEntry&)>& visit) override;
  absl::StatusOr<int64_t> RemoveSet(const TargetSetId& id) override;
  absl::Status Pin(const TargetSetId& id, absl::Duration term) override;
  absl::StatusOr<int64_t> Evict(int64_t bytes) override;
  absl::StatusOr<int64_t> Reclaim(const FetchContext&) override { return 0; }
  absl::StatusOr<std::string> GetMeta(const std::string& name) override;
  absl::Status PutMeta(const std::string& name, const std::string& value) override;

 private:
  struct Entry {
    EncodedTarget target;
    TargetSetId set;
    TargetOrigin origin;
    uint64_t insertion = 0;
  };

  bool MakeRoom(int64_t bytes) REFLUX_REQUIRES(mutex_);
  // Removes entries of the sets that `chosen` chooses, oldest first, until `bytes` are freed; the
  // bytes freed.
  int64_t Remove(int64_t bytes, const std::function<bool(const TargetSetId&)>& chosen)
      REFLUX_REQUIRES(mutex_);
  void Erase(const TargetKey& key) REFLUX_REQUIRES(mutex_);

  const int64_t capacity_bytes_;
  SetUsage usage_;
  mutable Mutex mutex_;
  std::map<TargetKey, Entry> entries_ REFLUX_GUARDED_BY(mutex_);
  std::map<uint64_t, TargetKey> by_insertion_ REFLUX_GUARDED_BY(mutex_);
  uint64_t next_insertion_ REFLUX_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::string> meta_ REFLUX_GUARDED_BY(mutex_);
  int64_t refused_ REFLUX_GUARDED_BY(mutex_) = 0;
  int64_t evicted_ REFLUX_GUARDED_BY(mutex_) = 0;
  bool storing_ REFLUX_GUARDED_BY(mutex_) = true;
};

}  // namespace reflux
