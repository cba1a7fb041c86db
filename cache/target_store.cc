#include "cache/target_store.h"

namespace reflux {

void TargetStore::ReadMany(
    const std::vector<TargetKey>& keys, Use use,
    const std::function<bool(size_t, absl::StatusOr<EncodedTarget>)>& deliver) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!deliver(i, Read(keys[i], use))) return;
  }
}

std::vector<bool> TargetStore::ContainsMany(const std::vector<TargetKey>& keys) {
  std::vector<bool> contained;
  for (const TargetKey& key : keys) contained.push_back(Contains(key));
  return contained;
}

}  // namespace reflux
