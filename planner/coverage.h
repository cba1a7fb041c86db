// How much of what jobs need a cache holds, and why the rest is missing. Torch-free.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cache/inventory.h"
#include "cache/nearest_set.h"
#include "planner/needs_union.h"

namespace reflux {

// Of one teacher at one tap.
struct SpecCoverage {
  std::string teacher;  // as the job names it
  std::string servers;  // as NeedsPart
  TargetSet wanted;
  int64_t targets = 0, held = 0;
  std::optional<NearestSet> nearest;  // when some are missing and the cache holds any set
};

// Of one part of the needs.
struct PartCoverage {
  int64_t held = 0;              // targets
  std::vector<int64_t> held_of;  // ... by spec
  int64_t missing_samples = 0;   // with some target missing
};

struct Coverage {
  std::vector<SpecCoverage> specs;
  std::vector<PartCoverage> parts;  // in the order of the parts
  int64_t targets() const;
  int64_t held() const;
};

// By NeedsPart::servers.
using Inventories = std::map<std::string, std::unique_ptr<CacheInventory>>;

// Asks about at most TargetRequest::kMaxSamples samples at a time. Errors: those of the
// inventories, of which there must be one for each part's servers.
absl::StatusOr<Coverage> MeasureCoverage(const std::vector<NeedsPart>& parts,
                                         const Inventories& inventories);

// For people, ending in a newline: "0 of 2975 targets cached. Nearest set city/r101@9f3c01ab
// differs in preprocessing.mean only." A line a tap when there are several; without `why` the
// counts alone, of several teachers those of each too.
std::string CoverageText(const Coverage& coverage, bool why);
std::string CoverageJson(const Coverage& coverage);

// The same of the jobs of a sweep, by name, below what they need together. `held` of `targets`.
struct JobCoverage {
  std::string job;
  int64_t targets = 0, held = 0;
};
std::string SweepCoverageText(const Coverage& together, const std::vector<JobCoverage>& jobs,
                              bool why);
std::string SweepCoverageJson(const Coverage& together, const std::vector<JobCoverage>& jobs);

}  // namespace reflux
