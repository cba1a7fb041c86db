// The dilated MobileNetV3-Large backbone (Howard et al., arXiv 1905.02244) with torchvision's
// parameter names: children "0" to "16".
#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

#include "distill/models/backbone.h"

namespace reflux {

// Output stride 16: the last strided block is dilated. Its norms have epsilon 0.001 and momentum
// 0.01, as published. Stages as torchvision marks them, the first block of each resolution: 24
// channels (layer 2), 40 (4), 80 (7); then 960 (16, the last).
class MobileNetV3Large : public Backbone {
 public:
  MobileNetV3Large();

  StageMaps Forward(const torch::Tensor& images) override;
  std::array<StageShape, 4> stages() const override;

 private:
  std::vector<std::shared_ptr<Layer>> layers_;
};

}  // namespace reflux
