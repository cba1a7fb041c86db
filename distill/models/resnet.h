// Dilated ResNets (He et al. 2016; dilation as in Yu, Koltun and Funkhouser 2017), as three code
// bases have them: the children's names are the same in all.
#pragma once

#include <torch/torch.h>

#include <array>

#include "distill/models/backbone.h"

namespace reflux {

struct ResNetOptions {
  std::array<int64_t, 4> blocks = {2, 2, 2, 2};
  bool bottleneck = false;    // 1x1, 3x3, 1x1 with four times the channels out
  int64_t output_stride = 8;  // 8: stages 3 and 4 dilated by 2 and 4; 16: stage 4 dilated by 2
  // Three 3x3 convolutions with 128 channels out (CIRKD, Af-DCD) in place of one 7x7 with 64.
  bool deep_stem = true;
  // The first block of a dilated stage reads a map that is not dilated yet: its strided convolution
  // has half the stage's dilation (CIRKD, torchvision), or all of it (AICSD).
  bool halve_first_dilation = true;
  // Dilations of the last stage's three blocks, times the stage's: 1, 2, 4 with bottlenecks
  // (AICSD).
  bool multi_grid = false;
  NormOptions norm;
};

// Children conv1, bn1 (with a deep stem also conv2, bn2, conv3, bn3) and layer1..layer4.
class ResNet : public Backbone {
 public:
  explicit ResNet(const ResNetOptions& options);

  StageMaps Forward(const torch::Tensor& images) override;
  std::array<StageShape, 4> stages() const override;

 private:
  void MakeStem();
  torch::nn::Sequential MakeStage(int stage, int64_t stride, int64_t dilation);
  int64_t Dilation(int stage, int64_t block, int64_t dilation) const;
  int64_t Channels(int stage) const;
  torch::Tensor Stem(const torch::Tensor& images);

  ResNetOptions options_;
  int64_t in_channels_;
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr}, conv3_{nullptr};
  BatchNorm2d bn1_{nullptr}, bn2_{nullptr}, bn3_{nullptr};
  std::array<torch::nn::Sequential, 4> stages_ = {nullptr, nullptr, nullptr, nullptr};
};

}  // namespace reflux
