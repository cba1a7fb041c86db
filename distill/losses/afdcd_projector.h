// What maps a masked student map into the teacher's space in Af-DCD.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

enum class AfdcdProjectorKind {
  kPlain,     // conv3x3, ReLU, conv3x3: the published one; 75.5M parameters at 2048 channels
  kTwoLevel,  // x1 = ReLU(conv3x3(x)), x2 = ReLU(conv3x3(x1)); (conv3x3(x1) + conv3x3(x2)) / 2
  // Not the paper's: conv1x1 to a quarter, ReLU, conv3x3, ReLU, conv1x1 back; 4.5M at 2048.
  kBottleneck,
};

// [N,C,h,w] -> the same shape. Not thread-safe.
class AfdcdProjector : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(const torch::Tensor& map) = 0;
};

// Parameters carry the published names ("0.weight", "block_1.0.weight", "adpator_1.weight").
std::shared_ptr<AfdcdProjector> MakeAfdcdProjector(AfdcdProjectorKind kind, int64_t channels);

// "plain", "two_level", "bottleneck".
absl::StatusOr<AfdcdProjectorKind> ParseAfdcdProjector(absl::string_view name);

}  // namespace reflux
