// How much of what a job needs a cache holds, and why the rest is missing. Torch-free.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache/inventory.h"
#include "cache/nearest_set.h"
#include "planner/job_needs.h"

namespace reflux {

// Of one teacher at one tap.
struct SpecCoverage {
  std::string teacher;  // as the job names it
  TargetSet wanted;
  int64_t targets = 0, held = 0;
  std::optional<NearestSet> nearest;  // when some are missing and the cache holds any set
};

struct Coverage {
  std::vector<SpecCoverage> specs;
  int64_t targets() const;
  int64_t held() const;
};

// Asks about at most TargetRequest::kMaxSamples samples at a time. Errors: those of `inventory`.
absl::StatusOr<Coverage> MeasureCoverage(const JobNeeds& needs, CacheInventory& inventory);

// For people, ending in a newline: "0 of 2975 targets cached. Nearest set city/r101@9f3c01ab
// differs in preprocessing.mean only." A line a tap when there are several; without `why` the
// counts alone.
std::string CoverageText(const Coverage& coverage, bool why);
std::string CoverageJson(const Coverage& coverage);

}  // namespace reflux
