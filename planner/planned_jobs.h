// The jobs of a file, what they need of their teachers, and how much of that is cached.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/spec/sweep_jobs.h"
#include "planner/coverage.h"
#include "planner/needs_union.h"
#include "planner/planner_flags.h"

namespace reflux {

struct PlannedJob {
  std::string variant;
  v1::JobSpec spec;
  // Index of the first job with the same teachers, images and cache.
  size_t place = 0;
  int64_t images = 0, steps = 0, views = 0;
  int64_t targets = 0, held = 0;
};

struct PlannedJobs {
  std::string name;
  bool sweep = false;
  std::vector<PlannedJob> jobs;
  // Of all together.
  std::vector<NeedsPart> parts;
  Coverage coverage;
  // That the cache servers may still store, all together; empty where the cache is a folder.
  std::optional<double> free_in_servers;
};

// Hashes the data sets and reads the teachers' identities, each once; progress goes to standard
// error. Jobs with no teacher, live views, or without a cache unless `suppose_cached`, need
// nothing. Errors: those of PlanJobNeeds with the name of a sweep's job, of the inventories, of
// CacheFolderOf; Cancelled when `stop` (may be null) fires.
absl::StatusOr<PlannedJobs> PlanJobs(const JobFile& file, const PlannerFlags& flags,
                                     bool suppose_cached, const Cancellation* stop);

}  // namespace reflux
