// The measurements of reflux-bench-pace. Torch-free.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "bench/pace_options.h"
#include "bench/pace_report.h"

namespace reflux {

// Stores the maps of each tap in every form; the rows take turns within a round. Errors: of storing
// and reading; DataLoss when a row brings other bytes; ResourceExhausted when the disk is too
// small.
absl::StatusOr<std::vector<PaceTap>> MeasurePaces(const PaceBenchOptions& options);

}  // namespace reflux
