// The measurement of reflux-bench-step.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "bench/step_options.h"
#include "bench/step_report.h"

namespace reflux {

// Every row once a round, in an order that rotates from round to round. A row runs as training does
// (an OrderedPrefetcher of the job's depth and threads); its first step in a round is not timed,
// and batches are made beyond the last one, so that the queue is as full at the end as at the
// beginning. Errors: those of making batches (a miss of a warm row is FailedPrecondition);
// Internal when a row other than live woke the teacher; LibTorch's exceptions become Internal.
absl::StatusOr<std::vector<StepSeries>> MeasureSteps(const StepBenchOptions& options);

}  // namespace reflux
