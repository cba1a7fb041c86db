// The DeepLabV3+ head (Chen et al., arXiv 1802.02611) of AICSD's code, which derives from
// jfzhang95/pytorch-deeplab-xception: their parameter names, their outputs. AICSD's later versions
// also hold a convolution "conv2" in ASPP and decoder that only its feature losses read: not here.
#pragma once

#include <torch/nn/modules/conv.h>

#include "distill/models/head.h"

namespace reflux {

// ASPP on the last stage, upsampled to the first stage's size and decoded beside 48 channels of it.
// Children "aspp" and "decoder". Taps: aspp (the ASPP's output), decoder (the last map before the
// classifier) and logits, both at the first stage's stride.
class DeepLabV3PlusHead : public Head {
 public:
  DeepLabV3PlusHead(const StageShape& low, const StageShape& high, const ModelOptions& options);
  void Register(torch::nn::Module& network) override;
  TapOutputs Forward(const StageMaps& stages) override;
  std::vector<TapInfo> taps() const override;

 private:
  static constexpr int64_t kLowLevelWidth = 48;

  const ModelOptions options_;
  const StageShape low_, high_;
  Aspp aspp_;
  torch::nn::Conv2d low_convolution_, first_, second_, classifier_;
  BatchNorm2d low_norm_, first_norm_, second_norm_;
  CounterDropout first_dropout_, second_dropout_;
};

}  // namespace reflux
