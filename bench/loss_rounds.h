// Runs the losses in turns and sums up: value, time and memory of forward and backward.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/loss_cases.h"

namespace reflux {

struct LossSeries {
  std::string name;
  std::vector<double> library, naive, python;  // seconds a round; python may be empty
  int64_t library_bytes = 0, naive_bytes = 0, python_bytes = 0;  // peak of tensors
  int64_t kept_bytes = 0;  // the loss's parameters and buffers, beyond the peak
};

// Every round measures each loss once in each form, one after the other, each after an untimed run
// of its own. Internal when two forms disagree by more than 1e-4 of the value or of the length of
// the gradient by the student's maps: then they are not the same loss.
// `scratch` is a folder for the reference's inputs. FailedPrecondition when the reference fails.
absl::StatusOr<std::vector<LossSeries>> MeasureLosses(const LossBenchOptions& options,
                                                      const std::string& scratch);

// Medians with quartiles; ratios are taken within a round.
std::string LossTable(const std::vector<LossSeries>& series);
std::string LossJson(const LossBenchOptions& options, const std::vector<LossSeries>& series);

}  // namespace reflux
