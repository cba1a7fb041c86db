#include "distill/models/mobilenet_v3.h"

#include <torch/nn/modules/conv.h>

#include <algorithm>
#include <string>

namespace reflux {
namespace {

using torch::Tensor;

constexpr NormOptions kNorm = {.epsilon = 0.001, .momentum = 0.01};

struct BlockOptions {
  int64_t in, kernel, expanded, out;
  bool squeeze;
  Activation activation;
  int64_t stride, dilation;
};
constexpr Activation kRelu = Activation::kRelu, kHardswish = Activation::kHardswish;
constexpr std::array<BlockOptions, 15> kBlocks = {{{16, 3, 16, 16, false, kRelu, 1, 1},
                                                   {16, 3, 64, 24, false, kRelu, 2, 1},
                                                   {24, 3, 72, 24, false, kRelu, 1, 1},
                                                   {24, 5, 72, 40, true, kRelu, 2, 1},
                                                   {40, 5, 120, 40, true, kRelu, 1, 1},
                                                   {40, 5, 120, 40, true, kRelu, 1, 1},
                                                   {40, 3, 240, 80, false, kHardswish, 2, 1},
                                                   {80, 3, 200, 80, false, kHardswish, 1, 1},
                                                   {80, 3, 184, 80, false, kHardswish, 1, 1},
                                                   {80, 3, 184, 80, false, kHardswish, 1, 1},
                                                   {80, 3, 480, 112, true, kHardswish, 1, 1},
                                                   {112, 3, 672, 112, true, kHardswish, 1, 1},
                                                   {112, 5, 672, 160, true, kHardswish, 1, 2},
                                                   {160, 5, 960, 160, true, kHardswish, 1, 2},
                                                   {160, 5, 960, 160, true, kHardswish, 1, 2}}};
constexpr std::array<size_t, 4> kStageLayers = {2, 4, 7, 16};
constexpr std::array<StageShape, 4> kStages = {{{24, 4}, {40, 8}, {80, 16}, {960, 16}}};

// The nearest multiple of 8, but not below nine tenths of `channels`.
int64_t RoundToEight(int64_t channels) {
  const int64_t rounded = std::max<int64_t>(8, (channels + 4) / 8 * 8);
  return 10 * rounded < 9 * channels ? rounded + 8 : rounded;
}

// Scales channels by what their means say (Hu et al., arXiv 1709.01507).
class SqueezeExcitation : public Layer {
 public:
  explicit SqueezeExcitation(int64_t channels)
      : fc1_(torch::nn::Conv2dOptions(channels, RoundToEight(channels / 4), 1)),
        fc2_(torch::nn::Conv2dOptions(RoundToEight(channels / 4), channels, 1)) {
    register_module("fc1", fc1_);
    register_module("fc2", fc2_);
  }

  Tensor forward(const Tensor& input) override {
    const Tensor hidden = fc1_(torch::adaptive_avg_pool2d(input, {1, 1})).relu_();
    return input * torch::hardsigmoid(fc2_(hidden));
  }

 private:
  torch::nn::Conv2d fc1_, fc2_;
};

class InvertedResidual : public ResidualBlock {
 public:
  explicit InvertedResidual(const BlockOptions& o) : has_shortcut_(o.stride == 1 && o.in == o.out) {
    const int64_t wide = o.expanded;
    if (wide != o.in) Add(ConvolutionOptions{.in = o.in, .out = wide}, o.activation);
    Add({.in = wide,
         .out = wide,
         .kernel = o.kernel,
         .stride = o.stride,
         .dilation = o.dilation,
         .groups = wide},
        o.activation);
    if (o.squeeze) layers_.push_back(std::make_shared<SqueezeExcitation>(wide));
    Add({.in = wide, .out = o.out}, Activation::kNone);
    const auto block = register_module("block", std::make_shared<torch::nn::Module>());
    for (size_t i = 0; i < layers_.size(); ++i) {
      block->register_module(std::to_string(i), layers_[i]);
    }
  }

  Tensor forward(const Tensor& input) override {
    Tensor x = input;
    for (const auto& layer : layers_) x = layer->forward(x);
    return has_shortcut_ ? x.add_(input) : x;
  }

  BatchNorm2d branch_norm() const override {
    return has_shortcut_ ? last_->norm() : BatchNorm2d(nullptr);
  }

 private:
  void Add(const ConvolutionOptions& convolution, Activation activation) {
    last_ = std::make_shared<ConvolutionNorm>(convolution, kNorm, activation);
    layers_.push_back(last_);
  }

  const bool has_shortcut_;
  std::vector<std::shared_ptr<Layer>> layers_;
  std::shared_ptr<ConvolutionNorm> last_;
};

}  // namespace

MobileNetV3Large::MobileNetV3Large() {
  layers_.push_back(std::make_shared<ConvolutionNorm>(
      ConvolutionOptions{.in = 3, .out = 16, .kernel = 3, .stride = 2}, kNorm, kHardswish));
  for (const BlockOptions& block : kBlocks) {
    layers_.push_back(std::make_shared<InvertedResidual>(block));
  }
  layers_.push_back(std::make_shared<ConvolutionNorm>(ConvolutionOptions{.in = 160, .out = 960},
                                                      kNorm, kHardswish));
  for (size_t i = 0; i < layers_.size(); ++i) register_module(std::to_string(i), layers_[i]);
}

std::array<StageShape, 4> MobileNetV3Large::stages() const { return kStages; }

StageMaps MobileNetV3Large::Forward(const Tensor& images) {
  StageMaps outputs;
  Tensor x = images;
  size_t stage = 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    x = layers_[i]->forward(x);
    if (i == kStageLayers[stage]) outputs[stage++] = x;
  }
  return outputs;
}

}  // namespace reflux
