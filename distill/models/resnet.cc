#include "distill/models/resnet.h"

#include <string>

namespace reflux {
namespace {

using torch::Tensor;

torch::nn::Conv2d Convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1,
                              int64_t dilation = 1) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel)
                               .stride(stride)
                               .padding(dilation * (kernel / 2))
                               .dilation(dilation)
                               .bias(false));
}

struct BlockOptions {
  int64_t in = 0, planes = 0, stride = 1;
  int64_t dilation = 1;        // of the stage's blocks after the first
  int64_t first_dilation = 1;  // of this block's strided convolution
  bool project = false;        // the shortcut has a 1x1 convolution
  NormOptions norm;
};

// In place where the value is not needed again: a batch norm's backward reads its input only.
Tensor Relu(Tensor x) { return x.relu_(); }
Tensor AddRelu(Tensor x, const Tensor& shortcut) { return x.add_(shortcut).relu_(); }

// The shortcut: identity, or "downsample" = convolution and norm.
torch::nn::Sequential Shortcut(const BlockOptions& o, int64_t out) {
  return torch::nn::Sequential(Convolution(o.in, out, 1, o.stride),
                               BatchNorm2d(out, o.norm.epsilon, o.norm.momentum));
}

class BasicBlock : public ResidualBlock {
 public:
  explicit BasicBlock(const BlockOptions& o) {
    conv1_ = register_module("conv1", Convolution(o.in, o.planes, 3, o.stride, o.first_dilation));
    bn1_ = register_module("bn1", BatchNorm2d(o.planes, o.norm.epsilon, o.norm.momentum));
    conv2_ = register_module("conv2", Convolution(o.planes, o.planes, 3, 1, o.dilation));
    bn2_ = register_module("bn2", BatchNorm2d(o.planes, o.norm.epsilon, o.norm.momentum));
    if (o.project) downsample_ = register_module("downsample", Shortcut(o, o.planes));
  }

  Tensor forward(const Tensor& input) {
    const Tensor output = bn2_(conv2_(Relu(bn1_(conv1_(input)))));
    return AddRelu(output, downsample_ ? downsample_->forward(input) : input);
  }

  BatchNorm2d branch_norm() const override { return bn2_; }

 private:
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr};
  BatchNorm2d bn1_{nullptr}, bn2_{nullptr};
  torch::nn::Sequential downsample_{nullptr};
};

class Bottleneck : public ResidualBlock {
 public:
  static constexpr int64_t kExpansion = 4;

  explicit Bottleneck(const BlockOptions& o) {
    const int64_t out = o.planes * kExpansion;
    conv1_ = register_module("conv1", Convolution(o.in, o.planes, 1));
    bn1_ = register_module("bn1", BatchNorm2d(o.planes, o.norm.epsilon, o.norm.momentum));
    conv2_ =
        register_module("conv2", Convolution(o.planes, o.planes, 3, o.stride, o.first_dilation));
    bn2_ = register_module("bn2", BatchNorm2d(o.planes, o.norm.epsilon, o.norm.momentum));
    conv3_ = register_module("conv3", Convolution(o.planes, out, 1));
    bn3_ = register_module("bn3", BatchNorm2d(out, o.norm.epsilon, o.norm.momentum));
    if (o.project) downsample_ = register_module("downsample", Shortcut(o, out));
  }

  Tensor forward(const Tensor& input) {
    const Tensor hidden = Relu(bn2_(conv2_(Relu(bn1_(conv1_(input))))));
    return AddRelu(bn3_(conv3_(hidden)), downsample_ ? downsample_->forward(input) : input);
  }

  BatchNorm2d branch_norm() const override { return bn3_; }

 private:
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr}, conv3_{nullptr};
  BatchNorm2d bn1_{nullptr}, bn2_{nullptr}, bn3_{nullptr};
  torch::nn::Sequential downsample_{nullptr};
};

void Append(torch::nn::Sequential& stage, const BlockOptions& options, bool bottleneck) {
  if (bottleneck) {
    stage->push_back(std::make_shared<Bottleneck>(options));
  } else {
    stage->push_back(std::make_shared<BasicBlock>(options));
  }
}

}  // namespace

ResNetImpl::ResNetImpl(const ResNetOptions& options) : options_(options) {
  const NormOptions& norm = options.norm;
  conv1_ = register_module("conv1", Convolution(3, 64, 3, 2));
  bn1_ = register_module("bn1", BatchNorm2d(64, norm.epsilon, norm.momentum));
  conv2_ = register_module("conv2", Convolution(64, 64, 3));
  bn2_ = register_module("bn2", BatchNorm2d(64, norm.epsilon, norm.momentum));
  conv3_ = register_module("conv3", Convolution(64, 128, 3));
  bn3_ = register_module("bn3", BatchNorm2d(128, norm.epsilon, norm.momentum));
  const bool wide = options.output_stride == 16;
  stages_ = {MakeStage(0, 1, 1), MakeStage(1, 2, 1), MakeStage(2, wide ? 2 : 1, wide ? 1 : 2),
             MakeStage(3, 1, wide ? 2 : 4)};
}

int64_t ResNetImpl::channels(int stage) const {
  return (int64_t{64} << stage) * (options_.bottleneck ? Bottleneck::kExpansion : 1);
}

int64_t ResNetImpl::stride(int stage) const {
  return std::min<int64_t>(int64_t{4} << stage, options_.output_stride);
}

// The first block of a dilated stage reads a map that is not dilated yet, so its strided
// convolution has half the stage's dilation.
torch::nn::Sequential ResNetImpl::MakeStage(int stage, int64_t stride, int64_t dilation) {
  torch::nn::Sequential blocks;
  for (int64_t i = 0; i < options_.blocks[stage]; ++i) {
    BlockOptions block;
    block.in = in_channels_;
    block.planes = int64_t{64} << stage;
    block.stride = i == 0 ? stride : 1;
    block.dilation = dilation;
    block.first_dilation = i == 0 ? std::max<int64_t>(dilation / 2, 1) : dilation;
    block.project = i == 0 && (stride != 1 || in_channels_ != channels(stage));
    block.norm = options_.norm;
    Append(blocks, block, options_.bottleneck);
    in_channels_ = channels(stage);
  }
  return register_module("layer" + std::to_string(stage + 1), blocks);
}

Tensor ResNetImpl::Stem(const Tensor& images) {
  Tensor x = Relu(bn1_(conv1_(images)));
  x = Relu(bn2_(conv2_(x)));
  x = Relu(bn3_(conv3_(x)));
  return torch::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
}

std::array<Tensor, 4> ResNetImpl::forward(const Tensor& images) {
  std::array<Tensor, 4> outputs;
  Tensor x = Stem(images);
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = x = stages_[i]->forward(x);
  return outputs;
}

}  // namespace reflux
