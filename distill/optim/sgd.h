// Stochastic gradient descent with momentum, and the learning rates of the code bases: polynomial
// (CIRKD, Af-DCD, AICSD) or in steps (FRSKD's classifiers). Not thread-safe.
#pragma once

#include <torch/nn/module.h>
#include <torch/optim/sgd.h>
#include <torch/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace reflux {

// base_lr * (1 - step / total_steps)^power, times decay for each milestone that was passed. With
// power 0 it falls in steps alone.
struct LearningRateSchedule {
  double base_lr = 0.02;
  double power = 0.9;  // 0: constant until the last step
  int64_t total_steps = 1;
  std::vector<double> milestones = {};  // shares of the run, between 0 and 1
  double decay = 0.1;

  // For the update number `step`, from 0; zero from total_steps on.
  double LearningRate(int64_t step) const;
  // InvalidArgument names the field.
  absl::Status Validate() const;
};

struct SgdOptions {
  LearningRateSchedule schedule;
  double momentum = 0.9;
  double weight_decay = 1e-4;
  double head_lr_multiplier = 1;  // for every parameter outside the backbone
  // True: no weight decay for norms and biases (parameters of one dimension).
  bool exempt_norms_and_biases = false;

  absl::Status Validate() const;
};

class Sgd {
 public:
  using NamedParameters = std::map<std::string, torch::Tensor>;

  // `parameters` by their qualified name; a name of which one dotted part is "pretrained" or
  // "backbone" is the backbone's. InvalidArgument for invalid options or no parameters. The tensors
  // are shared and must stay the module's: move it to its device first.
  static absl::StatusOr<std::unique_ptr<Sgd>> Create(const NamedParameters& parameters,
                                                     const SgdOptions& options);

  // One update, number `step` from 0, from the parameters' gradients. A parameter without a
  // gradient is left alone.
  void Step(int64_t step);
  void ZeroGrad() { sgd_->zero_grad(); }

  // Momentum buffers by parameter name (copies, CPU); none for a parameter never updated. With the
  // weights and the step number they are the whole state: a resumed run goes on bit for bit.
  std::map<std::string, torch::Tensor> SaveState() const;
  // Replaces all buffers. InvalidArgument for an unknown name or another shape; then nothing has
  // changed.
  absl::Status LoadState(const std::map<std::string, torch::Tensor>& buffers);

 private:
  Sgd(const NamedParameters& parameters, const SgdOptions& options);

  NamedParameters parameters_;
  SgdOptions options_;
  std::vector<double> multipliers_;  // of the learning rate, by parameter group
  std::unique_ptr<torch::optim::SGD> sgd_;
};

// A module's parameters by name, each prefixed ("loss0." for a loss's projections).
Sgd::NamedParameters ParametersOf(const torch::nn::Module& module, const std::string& prefix = "");

}  // namespace reflux
