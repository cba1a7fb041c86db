// Puts everything that a job needs of a teacher into a cache, before or while students run.
// Torch-free.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "cache/inventory.h"
#include "common/base/cancellation.h"
#include "common/targets/target.h"
#include "planner/job_needs.h"

namespace reflux {

struct FillOptions {
  // Samples of a request, at most TargetRequest::kMaxSamples; 0: the teacher's batch.
  int64_t batch = 0;
  int requests = 2;  // in flight at once
  // Time a request may take, restarts of servers included.
  absl::Duration request_timeout = absl::Minutes(10);
  // Stops after the requests under way were cancelled; what is stored stays. May be null.
  std::shared_ptr<Cancellation> stop;
  // Targets that are there, of all that the job needs: once at the start, then after every request,
  // one call at a time.
  std::function<void(int64_t held)> on_progress;
};

struct FillReport {
  int64_t targets = 0;   // of the teacher over all samples
  int64_t held = 0;      // of these, there before
  int64_t stored = 0;    // by this fill
  bool stopped = false;  // before the end
  double seconds = 0;    // from the first request to the last answer
};

// Asks `source`, which stores without delivering bytes (TargetPath::storing), for every sample of
// which `inventory` lacks a target, in their order, below students in priority. Blocks. A second
// fill goes on where the first was stopped or killed. Errors: FailedPrecondition when the cache is
// full or cannot write; those of a target, with its image and tap; those of `inventory`.
absl::StatusOr<FillReport> Fill(const TeacherNeeds& teacher, const std::vector<SampleRef>& samples,
                                CacheInventory& inventory, TargetSource& source,
                                const FillOptions& options);

}  // namespace reflux
