#include "cache/target_store.h"

namespace reflux {

void TargetStore::ReadMany(const std::vector<TargetKey>& keys, Use use,
                           const DeliverManyFn& deliver, const PlaceManyFn& place) {
  size_t i = 0;
  PlaceFn place_one;
  if (place != nullptr) {
    place_one = [&](const EncodedTarget& coming, size_t size) { return place(i, coming, size); };
  }
  for (; i < keys.size(); ++i) {
    if (!deliver(i, ReadTo(place_one, keys[i], use))) return;
  }
}

absl::StatusOr<LocatedTarget> TargetStore::Locate(const TargetKey&, Use) {
  return absl::NotFoundError("this store keeps no files of this host");
}

std::vector<bool> TargetStore::ContainsMany(const std::vector<TargetKey>& keys) {
  std::vector<bool> contained;
  for (const TargetKey& key : keys) contained.push_back(Contains(key));
  return contained;
}

}  // namespace reflux
