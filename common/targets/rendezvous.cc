#include "common/targets/rendezvous.h"

#include <xxhash.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"

namespace reflux {

TargetKey PlacementKey(const TeacherIdentity& teacher, const SampleRef& sample) {
  return MakeTargetKey(teacher, sample, TargetSpec{});
}

uint64_t RendezvousScore(const TargetKey& key, absl::string_view name) {
  const std::string bytes = absl::StrCat(key.digest.AsBytes(), name);
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::vector<size_t> RendezvousOrder(const TargetKey& key, const std::vector<std::string>& names) {
  std::vector<uint64_t> scores;
  for (const std::string& name : names) scores.push_back(RendezvousScore(key, name));
  std::vector<size_t> order(names.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : names[a] < names[b];
  });
  return order;
}

}  // namespace reflux
