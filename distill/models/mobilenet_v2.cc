#include "distill/models/mobilenet_v2.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/conv.h>

#include <algorithm>

namespace reflux {
namespace {

using torch::Tensor;

struct BlockOptions {
  int64_t in = 0, out = 0, expansion = 1, stride = 1, dilation = 1;
  bool pad_input = false;
  NormOptions norm;
};

// 1x1 expansion, 3x3 depthwise, 1x1 projection without activation; one flat "conv".
class InvertedResidual : public ResidualBlock {
 public:
  explicit InvertedResidual(const BlockOptions& o)
      : padding_(o.pad_input ? o.dilation : 0), has_shortcut_(o.stride == 1 && o.in == o.out) {
    const int64_t hidden = o.in * o.expansion;
    if (o.expansion != 1) {
      Append(Convolution({.in = o.in, .out = hidden}), Norm(hidden, o.norm));
      conv_->push_back(torch::nn::ReLU6(torch::nn::ReLU6Options(true)));
    }
    Append(Convolution({.in = hidden,
                        .out = hidden,
                        .kernel = 3,
                        .stride = o.stride,
                        .dilation = o.dilation,
                        .groups = hidden,
                        .pad = !o.pad_input}),
           Norm(hidden, o.norm));
    conv_->push_back(torch::nn::ReLU6(torch::nn::ReLU6Options(true)));
    norm_ = Norm(o.out, o.norm);
    Append(Convolution({.in = hidden, .out = o.out}), norm_);
    register_module("conv", conv_);
  }

  Tensor forward(const Tensor& input) override {
    const std::array<int64_t, 4> sides = {padding_, padding_, padding_, padding_};
    Tensor output = conv_->forward(padding_ > 0 ? torch::constant_pad_nd(input, sides, 0) : input);
    return has_shortcut_ ? output.add_(input) : output;
  }

  BatchNorm2d branch_norm() const override { return has_shortcut_ ? norm_ : BatchNorm2d(nullptr); }

 private:
  void Append(const torch::nn::Conv2d& convolution, const BatchNorm2d& norm) {
    conv_->push_back(convolution);
    conv_->push_back(norm);
  }

  const int64_t padding_;
  const bool has_shortcut_;
  torch::nn::Sequential conv_;
  BatchNorm2d norm_{nullptr};
};

struct Group {
  int64_t expansion, channels, blocks, stride;
};
constexpr std::array<Group, 7> kGroups = {{{1, 16, 1, 1},
                                           {6, 24, 2, 2},
                                           {6, 32, 3, 2},
                                           {6, 64, 4, 2},
                                           {6, 96, 3, 1},
                                           {6, 160, 3, 2},
                                           {6, 320, 1, 1}}};
constexpr std::array<size_t, 4> kStageEnds = {3, 6, 13, 17};  // last layer of each stage
constexpr std::array<int64_t, 4> kStageChannels = {24, 32, 96, 320};

// Blocks 1 to 17: strides beyond the output stride become dilation.
std::vector<BlockOptions> PlanBlocks(const MobileNetV2Options& options) {
  std::vector<BlockOptions> blocks;
  int64_t channels = 32, stride = 2, dilation = 1;
  for (const Group& group : kGroups) {
    const bool dilate = group.stride == 2 && stride == options.output_stride;
    if (!dilate) stride *= group.stride;
    for (int64_t i = 0; i < group.blocks; ++i) {
      BlockOptions block{.in = channels, .out = group.channels, .expansion = group.expansion};
      block.stride = i == 0 && !dilate ? group.stride : 1;
      block.dilation = dilation;
      block.pad_input = options.aicsd;
      block.norm = options.norm;
      blocks.push_back(block);
      channels = group.channels;
      if (dilate && i == 0 && !options.aicsd) dilation *= 2;
    }
    if (dilate && options.aicsd) dilation *= 2;
  }
  return blocks;
}

}  // namespace

MobileNetV2::MobileNetV2(const MobileNetV2Options& options) : options_(options) {
  layers_.push_back(std::make_shared<ConvolutionNorm>(
      ConvolutionOptions{.in = 3, .out = 32, .kernel = 3, .stride = 2}, options.norm,
      Activation::kRelu6));
  for (const BlockOptions& block : PlanBlocks(options)) {
    layers_.push_back(std::make_shared<InvertedResidual>(block));
  }
  const auto features = std::make_shared<torch::nn::Module>();
  for (size_t i = 0; i < layers_.size(); ++i) {
    features->register_module(std::to_string(i), layers_[i]);
  }
  if (options.parent.empty()) {
    register_module("features", features);
  } else {
    register_module(options.parent, Nested("features", features));
  }
}

std::array<StageShape, 4> MobileNetV2::stages() const {
  std::array<StageShape, 4> shapes;
  for (int i = 0; i < 4; ++i) {
    shapes[i] = {kStageChannels[i], std::min<int64_t>(int64_t{4} << i, options_.output_stride)};
  }
  return shapes;
}

StageMaps MobileNetV2::Forward(const Tensor& images) {
  StageMaps outputs;
  Tensor x = images;
  size_t stage = 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    x = layers_[i]->forward(x);
    if (i == kStageEnds[stage]) outputs[stage++] = x;  // the last layer ends the last stage
  }
  return outputs;
}

}  // namespace reflux
