// Reading from a RadosTargetStore.
#include <deque>
#include <utility>

#include "cache/rados/rados_target_store.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// Of the reads that one caller has under way.
constexpr int64_t kMaxBytesUnderWay = int64_t{64} << 20;
constexpr size_t kMaxUnderWay = 32;

PlaceFn PlaceOf(const TargetStore::PlaceManyFn& place, size_t i) {
  if (place == nullptr) return nullptr;
  return [&place, i](const EncodedTarget& coming, size_t size) { return place(i, coming, size); };
}

int64_t BytesOf(const absl::StatusOr<ValueRead>& read) {
  return read.ok() ? static_cast<int64_t>(read->entry().size) : 0;
}

}  // namespace

absl::StatusOr<RadosEntry> RadosTargetStore::Locate(const TargetKey& key) {
  if (const auto known = locations_.Find(key)) return *known;
  REFLUX_ASSIGN_OR_RETURN(const RadosEntry entry, index_.Find(key));
  locations_.Remember(key, entry);
  return entry;
}

absl::StatusOr<EncodedTarget> RadosTargetStore::ReadTo(const PlaceFn& place, const TargetKey& key,
                                                       Use use) {
  return FinishRead(StartRead(key, place), key, place, use);
}

bool RadosTargetStore::Contains(const TargetKey& key) { return ContainsMany({key}).front(); }

std::vector<bool> RadosTargetStore::ContainsMany(const std::vector<TargetKey>& keys) {
  std::vector<bool> contained(keys.size(), false);
  if (!cluster_->Ready().ok()) return contained;  // what lies there cannot be read now
  std::vector<TargetKey> unknown;
  std::vector<size_t> places;
  for (size_t i = 0; i < keys.size(); ++i) {
    contained[i] = locations_.Find(keys[i]).has_value();
    if (contained[i]) continue;
    unknown.push_back(keys[i]);
    places.push_back(i);
  }
  if (unknown.empty()) return contained;
  const auto found = index_.FindMany(unknown);
  if (!found.ok()) return contained;  // cannot be told
  for (size_t i = 0; i < unknown.size(); ++i) {
    if (!found->at(i).has_value()) continue;
    contained[places[i]] = true;
    locations_.Remember(unknown[i], *found->at(i));
  }
  return contained;
}

absl::StatusOr<ValueRead> RadosTargetStore::StartRead(const TargetKey& key, const PlaceFn& place) {
  REFLUX_ASSIGN_OR_RETURN(const RadosEntry entry, Locate(key));
  return StartRead(key, entry, place);
}

absl::StatusOr<ValueRead> RadosTargetStore::StartRead(const TargetKey& key, const RadosEntry& entry,
                                                      const PlaceFn& place) {
  REFLUX_ASSIGN_OR_RETURN(const auto space, SpaceOf(entry.set));
  return ValueRead::Start(space, key, entry, place, blocks_);
}

absl::StatusOr<EncodedTarget> RadosTargetStore::FinishRead(absl::StatusOr<ValueRead> read,
                                                           const TargetKey& key,
                                                           const PlaceFn& place, Use use) {
  REFLUX_RETURN_IF_ERROR(read.status());
  absl::StatusOr<EncodedTarget> target = read->Await();
  if (target.ok() && use == Use::kTraining) sets_.Touch(read->entry().set);
  const bool gone = absl::IsNotFound(target.status());
  if (!gone && !absl::IsDataLoss(target.status())) return target;
  // The entry may have been remembered for too long: others removed it, or put the target anew.
  locations_.Forget(key);
  REFLUX_ASSIGN_OR_RETURN(const RadosEntry now, index_.Find(key));
  if (now != read->entry()) {
    locations_.Remember(key, now);
    return FinishRead(StartRead(key, now, place), key, place, use);
  }
  if (!gone) return target;
  return absl::DataLossError("rados store: an index entry without its value");
}

void RadosTargetStore::ReadMany(const std::vector<TargetKey>& keys, Use use,
                                const DeliverManyFn& deliver, const PlaceManyFn& place) {
  std::deque<absl::StatusOr<ValueRead>> under_way;
  int64_t bytes = 0;
  size_t started = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    while (started < keys.size() &&
           (under_way.empty() || (bytes < kMaxBytesUnderWay && under_way.size() < kMaxUnderWay))) {
      under_way.push_back(StartRead(keys[started], PlaceOf(place, started)));
      bytes += BytesOf(under_way.back());
      ++started;
    }
    bytes -= BytesOf(under_way.front());
    absl::StatusOr<EncodedTarget> target =
        FinishRead(std::move(under_way.front()), keys[i], PlaceOf(place, i), use);
    under_way.pop_front();
    if (!deliver(i, std::move(target))) return;
  }
}

}  // namespace reflux
