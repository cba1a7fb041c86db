// From the measurements of reflux-bench-targets to a table and a JSON file. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/target_bench_options.h"

namespace reflux {

// One row; one measurement a round, of reading every value once.
struct TargetSeries {
  std::string name;
  std::vector<double> seconds;
  std::vector<double> cpu_seconds;  // of this process and of the server's, if there is one
};

// Runs the rows by turns, each round in another order of values.
absl::StatusOr<std::vector<TargetSeries>> MeasureTargets(const TargetBenchOptions& options);

// GB/s with quartiles, and the ratio of speeds within a round to .npy, to LMDB and to the bare
// stream.
std::string TargetTable(const TargetBenchOptions& options, const std::vector<TargetSeries>& all);
std::string TargetJson(const TargetBenchOptions& options, const std::vector<TargetSeries>& all);

}  // namespace reflux
