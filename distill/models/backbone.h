// The seam between feature extractors and heads: four stages of maps.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <array>

#include "distill/models/layers.h"

namespace reflux {

// Outputs of the stages c1..c4, [N,C,h,w] each.
using StageMaps = std::array<torch::Tensor, 4>;

struct StageShape {
  int64_t channels = 0;
  int64_t stride = 0;  // input pixels per map position
};

class Backbone : public torch::nn::Module {
 public:
  // [N,3,H,W] -> the outputs of the four stages. Nobody may change them in place.
  virtual StageMaps Forward(const torch::Tensor& images) = 0;
  virtual std::array<StageShape, 4> stages() const = 0;
};

}  // namespace reflux
