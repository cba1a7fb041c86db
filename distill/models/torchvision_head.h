// The DeepLabV3 head of torchvision (models/segmentation/deeplabv3.py): its parameter names, its
// outputs; logits belong to the image without aligned corners. Tap "aspp" is the last map before
// the classifier, as in CIRKD's.
#pragma once

#include <torch/nn/modules/conv.h>

#include "distill/models/head.h"

namespace reflux {

// Reads the last stage. The dilations are 12, 24 and 36 at any stride. Child "classifier".
class TorchvisionHead : public Head {
 public:
  TorchvisionHead(const StageShape& input, const ModelOptions& options);
  void Register(torch::nn::Module& network) override;
  TapOutputs Forward(const StageMaps& stages) override;
  std::vector<TapInfo> taps() const override;

 private:
  const ModelOptions options_;
  const int64_t stride_;
  Aspp aspp_;
  torch::nn::Conv2d convolution_, classifier_;
  BatchNorm2d norm_;
};

}  // namespace reflux
