// Measures a teacher served over gRPC beside the bare loop over its model.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "bench/serving_report.h"

namespace reflux {

// In this process: the server on a loopback port, its clients, and the bare loop, which take turns
// within a round. `options` are resolved.
absl::StatusOr<std::vector<ServingMeasurement>> MeasureServing(const ServingBenchOptions& options);

}  // namespace reflux
