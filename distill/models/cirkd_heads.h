// The heads of the CIRKD and Af-DCD code bases: their parameter names, their outputs. Both read the
// last stage. Tap "aspp" is the head's last map before the classifier in either.
#pragma once

#include <torch/nn/modules/conv.h>

#include <optional>

#include "distill/models/head.h"

namespace reflux {

// DeepLabV3 (Chen et al., arXiv 1706.05587): ASPP, then the classifier block. Child "head".
class DeepLabV3Head : public Head {
 public:
  DeepLabV3Head(const StageShape& input, const ModelOptions& options);
  void Register(torch::nn::Module& network) override;
  TapOutputs Forward(const StageMaps& stages) override;
  std::vector<TapInfo> taps() const override;

 private:
  const ModelOptions options_;
  const int64_t stride_;
  Aspp aspp_;
  ClassifierBlock block_;
};

// PSPNet (Zhao et al., arXiv 1612.01105): the map beside its averages over 1, 2x2, 3x3 and 6x6
// bins, a quarter of its channels each; then a 3x3 convolution to aspp_width. Child "head".
class PspHead : public Head {
 public:
  PspHead(const StageShape& input, const ModelOptions& options);
  void Register(torch::nn::Module& network) override;
  TapOutputs Forward(const StageMaps& stages) override;
  std::vector<TapInfo> taps() const override;

 private:
  const ModelOptions options_;
  const int64_t stride_;
  std::vector<std::shared_ptr<ConvolutionNorm>> pooled_;
  torch::nn::Conv2d convolution_, classifier_;
  BatchNorm2d norm_;
  CounterDropout dropout_;
};

}  // namespace reflux
