// A student that only takes its batch and then waits. Torch-free.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bench/pace_options.h"
#include "bench/target_reader.h"

namespace reflux {

// What one try loads, and how.
struct PaceLoad {
  const PaceBenchOptions& options;
  int64_t value_bytes = 0;
  std::vector<int> order;  // of the values; batches take them in turn, again and again
};

// How much longer than its steps the student took, as a part of them: (wall - n T) / (n T), over n
// steps at pace T, in each of which it lets go of its batch and waits. Batches are made as in
// training: by an OrderedPrefetcher, each in memory of its own. The time begins when the student
// has its first batch, with the queue empty, so that batches made beforehand hide nothing. A try
// that has failed beyond doubt ends early, with the stall until then over all n steps.
absl::StatusOr<double> MeasureStall(TargetReader& reader, const PaceLoad& load,
                                    absl::Duration pace);

}  // namespace reflux
