// From the measurements of all rounds to a table and a JSON file. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/quartiles.h"
#include "bench/step_options.h"

namespace reflux {

// One row in one round; everything is a mean over the round's steps.
struct StepMeasurement {
  double seconds = 0;
  double wait_seconds = 0;        // of `seconds`: for the batch, its targets included
  double cpu_seconds = 0;         // of this process, all threads
  double server_cpu_seconds = 0;  // of the cache process
  double bytes = 0;               // of encoded targets
};

struct StepSeries {
  std::string name;
  std::vector<StepMeasurement> rounds;
  int64_t teacher_images = 0;  // forwards of one image in all rounds
};

// Ratios are taken within a round and then summarised. `series` has a "plain" and a "resident" row,
// all of the same number of rounds.
std::string StepTable(const std::vector<StepSeries>& series);
std::string StepJson(const StepBenchOptions& options, const std::vector<StepSeries>& series);

}  // namespace reflux
