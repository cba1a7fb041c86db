// The dilated ResNet backbone of the segmentation networks, with a deep stem of three 3x3
// convolutions (He et al. 2016; dilation as in Yu, Koltun and Funkhouser 2017). Parameter names are
// those of CIRKD's and Af-DCD's `pretrained`.
#pragma once

#include <torch/torch.h>

#include <array>

#include "distill/models/batch_norm.h"

namespace reflux {

struct NormOptions {
  double epsilon = 1e-5;
  double momentum = 0.1;
};

struct ResNetOptions {
  std::array<int64_t, 4> blocks = {2, 2, 2, 2};
  bool bottleneck = false;    // 1x1, 3x3, 1x1 with four times the channels out
  int64_t output_stride = 8;  // 8: stages 3 and 4 dilated by 2 and 4; 16: stage 4 dilated by 2
  NormOptions norm;
};

// A block that adds a branch to its shortcut.
class ResidualBlock : public torch::nn::Module {
 public:
  // The norm that ends the branch: with a weight of zero the block is its shortcut.
  virtual BatchNorm2d branch_norm() const = 0;
};

class ResNetImpl : public torch::nn::Module {
 public:
  explicit ResNetImpl(const ResNetOptions& options);

  // [N,3,H,W] -> the outputs of the four stages.
  std::array<torch::Tensor, 4> forward(const torch::Tensor& images);
  // Channels of stage 0..3.
  int64_t channels(int stage) const;
  int64_t stride(int stage) const;

 private:
  torch::nn::Sequential MakeStage(int stage, int64_t stride, int64_t dilation);
  torch::Tensor Stem(const torch::Tensor& images);

  ResNetOptions options_;
  int64_t in_channels_ = 128;
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr}, conv3_{nullptr};
  BatchNorm2d bn1_{nullptr}, bn2_{nullptr}, bn3_{nullptr};
  std::array<torch::nn::Sequential, 4> stages_ = {nullptr, nullptr, nullptr, nullptr};
};
TORCH_MODULE(ResNet);

}  // namespace reflux
