// What reflux-bench-losses measures: each loss of the library at one size, and the same by formula.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/naive_losses.h"

namespace reflux {

struct LossBenchOptions {
  int64_t batch = 2, height = 64, width = 128;  // of the maps: 512x1024 pixels at stride 8
  int64_t classes = 19, feature_channels = 256, contrast_channels = 512;
  int rounds = 7;
  uint64_t seed = 0;
  std::vector<std::string> losses;  // the cases to measure; empty: all
  // "PYTHON bench/losses_reference.py", a Python that has this torch; empty: no such column. It is
  // given a file of inputs, --threads N and --out FILE.
  std::string reference;

  // InvalidArgument names the option and what is allowed.
  absl::Status Validate() const;
};

struct LossCase {
  std::string name;
  NaiveInputs inputs;
  LossForm library;  // beside NaiveLoss of this name
  // Before each run of the library: back to the state that `inputs` describes.
  std::function<void()> reset = [] {};
  int64_t kept_bytes = 0;  // parameters and buffers of the loss, which stay between steps
};

// Random maps and labels of every class, a function of the options alone. Float32.
// InvalidArgument for a name in `losses` that no case has.
absl::StatusOr<std::vector<LossCase>> MakeLossCases(const LossBenchOptions& options);

// Maps of these channels and labels at their size.
NaiveInputs RandomInputs(const LossBenchOptions& options, int64_t student_channels,
                         int64_t teacher_channels);

// One step of `loss`, which reads `tap`, as the trainer takes it on one rank.
LossForm ByLibrary(const std::string& tap, std::shared_ptr<Loss> loss);

}  // namespace reflux
