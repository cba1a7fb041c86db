// A TargetStore on a local disk, over RocksDB; layout in docs/cache_format.md.
//
// Values are read without a copy: a target's owner holds the block that RocksDB read, and the
// database with it. One process at a time has a directory open.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cache/rocks_entries.h"
#include "cache/rocks_handles.h"
#include "cache/set_usage.h"
#include "cache/target_store.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace reflux {

struct RocksTargetStoreOptions {
  std::string directory;  // created if missing
  // Limit of live bytes; 0: none but the disk's.
  int64_t capacity_bytes = 0;
  // Nothing is stored that would leave less than this on the disk.
  int64_t min_free_disk_bytes = int64_t{1} << 30;
  // After a write failed, or the disk's floor could not be kept: pause before the next is tried.
  absl::Duration retry_after = absl::Seconds(10);
  // Of a table of values, the unit in which space is given back; 0: 64 MiB, less for a small
  // capacity.
  int64_t table_bytes = 0;
  const Clock* clock = &SystemClock();  // must outlive the store

  absl::Status Validate() const;
};

// Thread-safe. The directory is free for another process once the store and every target read from
// it are gone.
class RocksTargetStore : public TargetStore {
 public:
  // Errors: those of OpenRocks and MendFamilies; InvalidArgument for the options.
  static absl::StatusOr<std::unique_ptr<RocksTargetStore>> Open(
      const RocksTargetStoreOptions& options);
  ~RocksTargetStore() override;

  absl::StatusOr<EncodedTarget> ReadTo(const PlaceFn& place, const TargetKey& key,
                                       Use use) override;
  absl::StatusOr<LocatedTarget> Locate(const TargetKey& key, Use use) override;
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
  absl::StatusOr<int64_t> Reclaim(const FetchContext& context) override;
  absl::StatusOr<std::string> GetMeta(const std::string& name) override;
  absl::Status PutMeta(const std::string& name, const std::string& value) override;

 private:
  RocksTargetStore(const RocksTargetStoreOptions& options, std::shared_ptr<RocksHandles> handles);

  absl::Status LoadSets();
  void Used(const TargetSetId& id);
  // Writes the set's description, last use and pin.
  absl::Status WriteSet(const TargetSetId& id, const rocksdb::WriteOptions& options);
  // ResourceExhausted when `bytes` more should not be written; else they are reserved.
  absl::Status MakeRoom(int64_t bytes);
  absl::Status KeepFloor(int64_t bytes);
  absl::Status Refuse(const std::string& why);
  void Pause();

  const RocksTargetStoreOptions options_;
  const std::shared_ptr<RocksHandles> handles_;
  SetUsage usage_;
  RocksEntries entries_;
  Mutex evicting_;  // one Put evicts for all
  std::atomic<int64_t> refused_{0}, evicted_{0};
  std::atomic<bool> storing_{true};
  std::atomic<int64_t> retry_at_ms_{0};     // uptime; 0: the last write succeeded
  std::atomic<int64_t> say_full_at_ms_{0};  // uptime: not before
};

}  // namespace reflux
