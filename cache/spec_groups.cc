#include "cache/spec_groups.h"

#include <map>

namespace reflux {

std::vector<SpecGroup> GroupBySpecs(const TargetRequest& request,
                                    const std::vector<TargetIndex>& chosen) {
  // sample -> spec -> place
  std::map<size_t, std::map<size_t, size_t>> by_sample;
  for (size_t place = 0; place < chosen.size(); ++place) {
    by_sample[chosen[place].sample][chosen[place].spec] = place;
  }
  std::map<std::vector<size_t>, SpecGroup> groups;
  for (const auto& [sample, specs] : by_sample) {
    std::vector<size_t> wanted, places;
    for (const auto& [spec, place] : specs) {
      wanted.push_back(spec);
      places.push_back(place);
    }
    SpecGroup& group = groups[wanted];
    if (group.request.samples.empty()) {
      group.request.teacher = request.teacher;
      for (size_t spec : wanted) group.request.specs.push_back(request.specs[spec]);
    }
    group.request.samples.push_back(request.samples[sample]);
    group.places.push_back(std::move(places));
  }
  std::vector<SpecGroup> result;
  for (auto& [wanted, group] : groups) result.push_back(std::move(group));
  return result;
}

}  // namespace reflux
