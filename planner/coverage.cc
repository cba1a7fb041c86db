#include "planner/coverage.h"

#include <algorithm>

#include "common/base/status_macros.h"

namespace reflux {
namespace {

// Adds what is held of one teacher to `coverage`, whose entries are those of its specs.
absl::Status CountHeld(const TeacherNeeds& teacher, const std::vector<SampleRef>& samples,
                       CacheInventory& inventory, SpecCoverage* coverage) {
  TargetRequest request{.teacher = teacher.info.identity, .specs = teacher.specs};
  for (size_t first = 0; first < samples.size(); first += TargetRequest::kMaxSamples) {
    const size_t end = std::min(samples.size(), first + TargetRequest::kMaxSamples);
    request.samples.assign(samples.begin() + first, samples.begin() + end);
    REFLUX_ASSIGN_OR_RETURN(const std::vector<bool> held, inventory.Held(request));
    for (size_t i = 0; i < held.size(); ++i) coverage[i % teacher.specs.size()].held += held[i];
  }
  return absl::OkStatus();
}

}  // namespace

int64_t Coverage::targets() const {
  int64_t sum = 0;
  for (const SpecCoverage& spec : specs) sum += spec.targets;
  return sum;
}

int64_t Coverage::held() const {
  int64_t sum = 0;
  for (const SpecCoverage& spec : specs) sum += spec.held;
  return sum;
}

absl::StatusOr<Coverage> MeasureCoverage(const JobNeeds& needs, CacheInventory& inventory) {
  Coverage coverage;
  for (const TeacherNeeds& teacher : needs.teachers) {
    const size_t first = coverage.specs.size();
    for (const TargetSpec& spec : teacher.specs) {
      coverage.specs.push_back({.teacher = teacher.name,
                                .wanted = {.dataset = needs.dataset,
                                           .teacher = teacher.info.identity,
                                           .spec = spec,
                                           .model = teacher.info.model},
                                .targets = static_cast<int64_t>(needs.samples.size())});
    }
    if (teacher.specs.empty()) continue;
    REFLUX_RETURN_IF_ERROR(CountHeld(teacher, needs.samples, inventory, &coverage.specs[first]));
  }
  if (coverage.held() == coverage.targets()) return coverage;
  REFLUX_ASSIGN_OR_RETURN(const std::vector<StoredSet> sets, inventory.Sets());
  for (SpecCoverage& spec : coverage.specs) {
    if (spec.held < spec.targets) spec.nearest = FindNearestSet(spec.wanted, sets);
  }
  return coverage;
}

}  // namespace reflux
