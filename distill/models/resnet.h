// Dilated ResNets (He et al. 2016; dilation as in Yu, Koltun and Funkhouser 2017), as four code
// bases have them: the children's names are the same in all but for the stem.
#pragma once

#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <array>

#include "distill/models/backbone.h"

namespace reflux {

enum class ResNetStem {
  kSeven,  // one 7x7 convolution with 64 channels out: conv1, bn1 (torchvision, AICSD)
  kDeep,   // three 3x3 with 64, 64, 128 out: also conv2, bn2, conv3, bn3 (CIRKD, Af-DCD)
  kV1c,    // three 3x3 with 32, 32, 64 out: a sequence "stem" (mmsegmentation's ResNetV1c)
};

struct ResNetOptions {
  std::array<int64_t, 4> blocks = {2, 2, 2, 2};
  bool bottleneck = false;    // 1x1, 3x3, 1x1 with four times the channels out
  int64_t output_stride = 8;  // 8: stages 3 and 4 dilated by 2 and 4; 16: stage 4 dilated by 2
  ResNetStem stem = ResNetStem::kDeep;
  // The first block of a dilated stage reads a map that is not dilated yet: its strided convolution
  // has half the stage's dilation (CIRKD, torchvision, mmsegmentation), or all of it (AICSD).
  bool halve_first_dilation = true;
  // The second convolution of a basic block is dilated too (all but mmsegmentation).
  bool dilate_second = true;
  // Dilations of the last stage's three blocks, times the stage's: 1, 2, 4 with bottlenecks
  // (AICSD).
  bool multi_grid = false;
  NormOptions norm;
};

// Children: those of the stem, and layer1..layer4.
class ResNet : public Backbone {
 public:
  explicit ResNet(const ResNetOptions& options);

  StageMaps Forward(const torch::Tensor& images) override;
  std::array<StageShape, 4> stages() const override;

 private:
  void MakeStem();
  void RegisterStem();
  torch::nn::Sequential MakeStage(int stage, int64_t stride, int64_t dilation);
  int64_t Dilation(int stage, int64_t block, int64_t dilation) const;
  int64_t Channels(int stage) const;
  torch::Tensor Stem(const torch::Tensor& images);

  ResNetOptions options_;
  int64_t in_channels_;
  std::array<torch::nn::Conv2d, 3> convolutions_ = {nullptr, nullptr, nullptr};  // of the stem
  std::array<BatchNorm2d, 3> norms_ = {nullptr, nullptr, nullptr};
  std::array<torch::nn::Sequential, 4> stages_ = {nullptr, nullptr, nullptr, nullptr};
};

}  // namespace reflux
