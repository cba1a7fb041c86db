// The heads of mmsegmentation's DeepLabV3 and PSPNet (mmseg/models/decode_heads): their parameter
// names, their outputs. They differ from CIRKD's: DeepLabV3 has no 1x1 projection, but a 3x3
// "bottleneck" right on the concatenated branches, the image's average first; PSPNet resizes its
// bins, and both their logits, without aligned corners. Tap "aspp" is the bottleneck's map.
#pragma once

#include <torch/nn/modules/conv.h>

#include <vector>

#include "distill/models/head.h"

namespace reflux {

// What both heads end with: bottleneck (3x3 to aspp_width), dropout, conv_seg.
class MmsegHead : public Head {
 public:
  void Register(torch::nn::Module& network) override;
  TapOutputs Forward(const StageMaps& stages) override;
  std::vector<TapInfo> taps() const override;

 protected:
  // `concatenated`: channels of what Branches returns.
  MmsegHead(const StageShape& input, int64_t concatenated, const ModelOptions& options);
  virtual std::vector<torch::Tensor> Branches(const torch::Tensor& input) = 0;
  virtual void RegisterBranches(torch::nn::Module& head) = 0;

 private:
  const ModelOptions options_;
  const int64_t stride_;
  ConvolutionNorm bottleneck_;
  torch::nn::Conv2d classifier_;
  CounterDropout dropout_;
};

// ASPP: the image's average, a 1x1 and three dilated 3x3 convolutions. The last stage has stride 8.
class MmsegDeepLabV3Head : public MmsegHead {
 public:
  MmsegDeepLabV3Head(const StageShape& input, const ModelOptions& options);

 private:
  std::vector<torch::Tensor> Branches(const torch::Tensor& input) override;
  void RegisterBranches(torch::nn::Module& head) override;

  ConvolutionNorm pooled_;
  std::vector<std::shared_ptr<ConvolutionNorm>> branches_;
};

// The map beside its averages over 1, 2x2, 3x3 and 6x6 bins, aspp_width channels each.
class MmsegPspHead : public MmsegHead {
 public:
  MmsegPspHead(const StageShape& input, const ModelOptions& options);

 private:
  std::vector<torch::Tensor> Branches(const torch::Tensor& input) override;
  void RegisterBranches(torch::nn::Module& head) override;

  std::vector<std::shared_ptr<ConvolutionNorm>> pooled_;
};

}  // namespace reflux
