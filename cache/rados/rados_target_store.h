// The TargetStore behind OpenRadosStore (rados_store.h).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/key_locks.h"
#include "cache/rados/rados_index.h"
#include "cache/rados/rados_locations.h"
#include "cache/rados/rados_namespace.h"
#include "cache/rados/rados_sets.h"
#include "cache/rados/rados_values.h"
#include "cache/set_usage.h"
#include "cache/target_store.h"
#include "common/base/block_pool.h"

namespace reflux {

// Thread-safe, and safe beside other servers on the same store.
class RadosTargetStore : public TargetStore {
 public:
  RadosTargetStore(const RadosStoreOptions& options, std::shared_ptr<RadosCluster> cluster,
                   std::shared_ptr<RadosNamespace> control);
  // Checks the format, writes it where there is none or an older one, learns sets and counts.
  absl::Status Load();

  absl::StatusOr<EncodedTarget> ReadTo(const PlaceFn& place, const TargetKey& key,
                                       Use use) override;
  bool Contains(const TargetKey& key) override;
  std::vector<bool> ContainsMany(const std::vector<TargetKey>& keys) override;
  void ReadMany(const std::vector<TargetKey>& keys, Use use, const DeliverManyFn& deliver,
                const PlaceManyFn& place) override;
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
  // Also mends what crashes left (rados_repair.h).
  absl::StatusOr<int64_t> Reclaim(const FetchContext& context) override;
  absl::StatusOr<std::string> GetMeta(const std::string& name) override;
  absl::Status PutMeta(const std::string& name, const std::string& value) override;

 private:
  absl::StatusOr<std::shared_ptr<RadosNamespace>> SpaceOf(const TargetSetId& set);
  // From memory, else from the index.
  absl::StatusOr<RadosEntry> Locate(const TargetKey& key);
  absl::StatusOr<ValueRead> StartRead(const TargetKey& key, const PlaceFn& place);
  absl::StatusOr<ValueRead> StartRead(const TargetKey& key, const RadosEntry& entry,
                                      const PlaceFn& place);
  // Also while the target is removed and put again by others.
  absl::StatusOr<EncodedTarget> FinishRead(absl::StatusOr<ValueRead> read, const TargetKey& key,
                                           const PlaceFn& place, Use use);
  absl::Status CheckFormat();
  // Learns sets and counts of the other servers, when what is known is older than `age`.
  absl::Status RefreshOlderThan(absl::Duration age);
  absl::Status MakeRoom(int64_t bytes);
  absl::Status Write(const TargetKey& key, const TargetSet& set, const TargetOrigin& origin,
                     const EncodedTarget& target);
  absl::Status Refuse(const std::string& why);
  uint64_t NextStamp();
  // Takes an entry out of the index and its value from the cluster; the bytes freed.
  absl::StatusOr<int64_t> Remove(const TargetKey& key);

  const RadosStoreOptions options_;
  const std::shared_ptr<RadosCluster> cluster_;
  const std::shared_ptr<RadosNamespace> control_;
  SetUsage usage_;
  RadosIndex index_;
  RadosSets sets_;
  RadosLocations locations_;
  BlockPool blocks_{size_t{64} << 20};  // for values that are read to no place
  KeyLocks writers_;
  Mutex eviction_;  // one at a time
  mutable Mutex mutex_;
  std::map<TargetSetId, std::shared_ptr<RadosNamespace>> spaces_ REFLUX_GUARDED_BY(mutex_);
  absl::Duration refreshed_ REFLUX_GUARDED_BY(mutex_) = -absl::InfiniteDuration();  // uptime
  uint64_t last_stamp_ REFLUX_GUARDED_BY(mutex_) = 0;
  std::atomic<int64_t> free_bytes_{0};
  std::atomic<int64_t> refused_{0};
  std::atomic<int64_t> evicted_{0};
  std::atomic<bool> storing_{true};
  std::atomic<bool> said_full_{false};
};

}  // namespace reflux
