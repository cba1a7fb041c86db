#include "distill/models/efficientnet.h"

#include <algorithm>
#include <string>

namespace reflux {
namespace {

using torch::Tensor;

constexpr NormOptions kNorm = {.epsilon = 0.001, .momentum = 0.01};
constexpr int64_t kStemChannels = 32;
constexpr std::array<size_t, 4> kStageEnds = {1, 3, 5, 15};  // last block of each stage
constexpr std::array<StageShape, 4> kStages = {{{24, 4}, {40, 8}, {80, 16}, {320, 32}}};

struct Group {
  int64_t kernel, blocks, expansion, out, stride;
};
constexpr std::array<Group, 7> kGroups = {{{3, 1, 1, 16, 1},
                                           {3, 2, 6, 24, 2},
                                           {5, 2, 6, 40, 2},
                                           {3, 3, 6, 80, 2},
                                           {5, 3, 6, 112, 1},
                                           {5, 4, 6, 192, 2},
                                           {3, 1, 6, 320, 1}}};

struct BlockOptions {
  int64_t in, out, kernel, stride, expansion;
};

// TensorFlow's "same" padding for maps of even size: at stride 2 one more zero after than before.
Tensor PadSame(const Tensor& map, int64_t kernel, int64_t stride) {
  const int64_t before = (kernel - stride) / 2, after = kernel - stride - before;
  const std::array<int64_t, 4> sides = {before, after, before, after};
  return torch::constant_pad_nd(map, sides, 0);
}

torch::nn::Conv2d PaddedConvolution(int64_t in, int64_t out, int64_t kernel, int64_t stride,
                                    int64_t groups) {
  return Convolution(
      {.in = in, .out = out, .kernel = kernel, .stride = stride, .groups = groups, .pad = false});
}

// Mobile inverted bottleneck with squeeze and excitation, whose width goes by the block's input.
class MbConv : public ResidualBlock {
 public:
  explicit MbConv(const BlockOptions& o)
      : options_(o), has_shortcut_(o.stride == 1 && o.in == o.out) {
    const int64_t wide = o.in * o.expansion, squeezed = std::max<int64_t>(1, o.in / 4);
    if (o.expansion != 1) {
      expand_ = register_module("_expand_conv", Convolution({.in = o.in, .out = wide}));
      norm0_ = register_module("_bn0", Norm(wide, kNorm));
    }
    depthwise_ =
        register_module("_depthwise_conv", PaddedConvolution(wide, wide, o.kernel, o.stride, wide));
    norm1_ = register_module("_bn1", Norm(wide, kNorm));
    reduce_ = register_module("_se_reduce", torch::nn::Conv2d(wide, squeezed, 1));
    widen_ = register_module("_se_expand", torch::nn::Conv2d(squeezed, wide, 1));
    project_ = register_module("_project_conv", Convolution({.in = wide, .out = o.out}));
    norm2_ = register_module("_bn2", Norm(o.out, kNorm));
  }

  Tensor forward(const Tensor& input) override {
    Tensor x = input;
    if (!expand_.is_empty()) x = torch::silu(norm0_(expand_(x)));
    x = torch::silu(norm1_(depthwise_(PadSame(x, options_.kernel, options_.stride))));
    x = x * torch::sigmoid(widen_(torch::silu(reduce_(torch::adaptive_avg_pool2d(x, {1, 1})))));
    x = norm2_(project_(x));
    return has_shortcut_ ? x.add_(input) : x;
  }

  BatchNorm2d branch_norm() const override { return has_shortcut_ ? norm2_ : BatchNorm2d(nullptr); }

 private:
  const BlockOptions options_;
  const bool has_shortcut_;
  torch::nn::Conv2d expand_{nullptr}, depthwise_{nullptr}, reduce_{nullptr}, widen_{nullptr},
      project_{nullptr};
  BatchNorm2d norm0_{nullptr}, norm1_{nullptr}, norm2_{nullptr};
};

}  // namespace

EfficientNetB0::EfficientNetB0()
    : stem_(PaddedConvolution(3, kStemChannels, 3, 2, 1)), stem_norm_(Norm(kStemChannels, kNorm)) {
  register_module("_conv_stem", stem_);
  register_module("_bn0", stem_norm_);
  const auto blocks = register_module("_blocks", std::make_shared<torch::nn::Module>());
  int64_t channels = kStemChannels;
  for (const Group& group : kGroups) {
    for (int64_t i = 0; i < group.blocks; ++i) {
      blocks_.push_back(std::make_shared<MbConv>(BlockOptions{.in = channels,
                                                              .out = group.out,
                                                              .kernel = group.kernel,
                                                              .stride = i == 0 ? group.stride : 1,
                                                              .expansion = group.expansion}));
      blocks->register_module(std::to_string(blocks_.size() - 1), blocks_.back());
      channels = group.out;
    }
  }
}

std::array<StageShape, 4> EfficientNetB0::stages() const { return kStages; }

StageMaps EfficientNetB0::Forward(const Tensor& images) {
  StageMaps outputs;
  Tensor x = torch::silu(stem_norm_(stem_(PadSame(images, 3, 2))));
  size_t stage = 0;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i]->forward(x);
    if (i == kStageEnds[stage]) outputs[stage++] = x;
  }
  return outputs;
}

}  // namespace reflux
