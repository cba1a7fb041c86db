// A TargetStore in memory: for tests and for jobs that want no disk. Everything is lost with it.
#pragma once

#include <map>
#include <memory>

#include "cache/set_usage.h"
#include "cache/target_store.h"

namespace reflux {

class MemoryTargetStore : public TargetStore {
 public:
  // `capacity_bytes`: of values; 0: no limit.
  explicit MemoryTargetStore(int64_t capacity_bytes = 0) : capacity_bytes_(capacity_bytes) {}

  absl::StatusOr<EncodedTarget> Get(const TargetKey& key) override;
  bool Contains(const TargetKey& key) override;
  absl::Status Put(const TargetKey& key, const TargetSet& set,
                   const EncodedTarget& target) override;
  absl::Status Drop(const TargetKey& key) override;
  StoreStats stats() const override;
  absl::StatusOr<std::vector<StoredSet>> ListSets() override;
  absl::StatusOr<VerifyReport> Verify(const FetchContext& context) override;
  absl::StatusOr<std::string> GetMeta(const std::string& name) override;
  absl::Status PutMeta(const std::string& name, const std::string& value) override;

 private:
  struct Entry {
    EncodedTarget target;
    TargetSetId set;
  };

  const int64_t capacity_bytes_;
  SetUsage usage_;
  mutable Mutex mutex_;
  std::map<TargetKey, Entry> entries_ REFLUX_GUARDED_BY(mutex_);
  std::map<std::string, std::string> meta_ REFLUX_GUARDED_BY(mutex_);
  int64_t refused_ REFLUX_GUARDED_BY(mutex_) = 0;
};

}  // namespace reflux
