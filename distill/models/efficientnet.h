// EfficientNet-B0 (Tan and Le, arXiv 1905.11946) as a feature extractor, as FRSKD's segmentation
// networks have it: the parameter names and paddings of lukemelas/EfficientNet-PyTorch, so that its
// ImageNet weights fit (`student.backbone`).
#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <memory>
#include <vector>

#include "distill/models/backbone.h"

namespace reflux {

// Stages, as FRSKD cuts them: 24 channels at stride 4 (blocks 0 and 1), 40 at 8 (2, 3), 80 at 16
// (4, 5), 320 at 32 (6 to 15). The stem ends with its swish, which FRSKD's code leaves out though
// the weights were trained with it. Norms have epsilon 0.001 and momentum 0.01, as published; no
// drop-connect, as in FRSKD. Children _conv_stem, _bn0, _blocks.
class EfficientNetB0 : public Backbone {
 public:
  EfficientNetB0();

  StageMaps Forward(const torch::Tensor& images) override;
  std::array<StageShape, 4> stages() const override;

 private:
  torch::nn::Conv2d stem_;
  BatchNorm2d stem_norm_;
  std::vector<std::shared_ptr<Layer>> blocks_;
};

}  // namespace reflux
