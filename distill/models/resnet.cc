#include "distill/models/resnet.h"

#include <algorithm>
#include <string>

namespace reflux {
namespace {

using torch::Tensor;

struct BlockOptions {
  int64_t in = 0, planes = 0, stride = 1;
  int64_t first_dilation = 1;   // of the convolution that carries the stride
  int64_t second_dilation = 1;  // of a basic block's second convolution
  bool project = false;         // the shortcut has a 1x1 convolution
  NormOptions norm;
};

// In place where the value is not needed again, as Activate.
Tensor Relu(Tensor x) { return x.relu_(); }
Tensor AddRelu(Tensor x, const Tensor& shortcut) { return x.add_(shortcut).relu_(); }

// The shortcut: identity, or "downsample" = convolution and norm.
torch::nn::Sequential Shortcut(const BlockOptions& o, int64_t out) {
  return torch::nn::Sequential(Convolution({.in = o.in, .out = out, .stride = o.stride}),
                               Norm(out, o.norm));
}

// The 3x3 convolution that carries the block's stride.
torch::nn::Conv2d Strided(const BlockOptions& o, int64_t in) {
  return Convolution(
      {.in = in, .out = o.planes, .kernel = 3, .stride = o.stride, .dilation = o.first_dilation});
}

class BasicBlock : public ResidualBlock {
 public:
  explicit BasicBlock(const BlockOptions& o) {
    conv1_ = register_module("conv1", Strided(o, o.in));
    bn1_ = register_module("bn1", Norm(o.planes, o.norm));
    conv2_ = register_module(
        "conv2",
        Convolution({.in = o.planes, .out = o.planes, .kernel = 3, .dilation = o.second_dilation}));
    bn2_ = register_module("bn2", Norm(o.planes, o.norm));
    if (o.project) downsample_ = register_module("downsample", Shortcut(o, o.planes));
  }

  Tensor forward(const Tensor& input) override {
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
    conv1_ = register_module("conv1", Convolution({.in = o.in, .out = o.planes}));
    bn1_ = register_module("bn1", Norm(o.planes, o.norm));
    conv2_ = register_module("conv2", Strided(o, o.planes));
    bn2_ = register_module("bn2", Norm(o.planes, o.norm));
    conv3_ = register_module("conv3", Convolution({.in = o.planes, .out = out}));
    bn3_ = register_module("bn3", Norm(out, o.norm));
    if (o.project) downsample_ = register_module("downsample", Shortcut(o, out));
  }

  Tensor forward(const Tensor& input) override {
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

ResNet::ResNet(const ResNetOptions& options)
    : options_(options), in_channels_(options.stem == ResNetStem::kDeep ? 128 : 64) {
  MakeStem();
  const bool wide = options.output_stride == 16;
  stages_ = {MakeStage(0, 1, 1), MakeStage(1, 2, 1), MakeStage(2, wide ? 2 : 1, wide ? 1 : 2),
             MakeStage(3, 1, wide ? 2 : 4)};
}

void ResNet::MakeStem() {
  const auto convolution = [&](int i, int64_t in, int64_t out, int64_t kernel) {
    convolutions_[i] =
        Convolution({.in = in, .out = out, .kernel = kernel, .stride = i == 0 ? 2 : 1});
    norms_[i] = Norm(out, options_.norm);
  };
  const int64_t half = in_channels_ / 2;
  if (options_.stem == ResNetStem::kSeven) {
    convolution(0, 3, in_channels_, 7);
  } else {
    convolution(0, 3, half, 3);
    convolution(1, half, half, 3);
    convolution(2, half, in_channels_, 3);
  }
  RegisterStem();
}

void ResNet::RegisterStem() {
  const bool sequence = options_.stem == ResNetStem::kV1c;
  auto parent = sequence ? register_module("stem", std::make_shared<torch::nn::Module>()) : nullptr;
  for (int i = 0; i < 3 && !convolutions_[i].is_empty(); ++i) {
    if (sequence) {  // an activation follows each pair
      parent->register_module(std::to_string(3 * i), convolutions_[i]);
      parent->register_module(std::to_string(3 * i + 1), norms_[i]);
    } else {
      register_module("conv" + std::to_string(i + 1), convolutions_[i]);
      register_module("bn" + std::to_string(i + 1), norms_[i]);
    }
  }
}

int64_t ResNet::Channels(int stage) const {
  return (int64_t{64} << stage) * (options_.bottleneck ? Bottleneck::kExpansion : 1);
}

std::array<StageShape, 4> ResNet::stages() const {
  std::array<StageShape, 4> shapes;
  for (int i = 0; i < 4; ++i) {
    shapes[i] = {Channels(i), std::min<int64_t>(int64_t{4} << i, options_.output_stride)};
  }
  return shapes;
}

int64_t ResNet::Dilation(int stage, int64_t block, int64_t dilation) const {
  const bool grid = options_.multi_grid && options_.bottleneck && stage == 3;
  return grid ? dilation << block : dilation;
}

torch::nn::Sequential ResNet::MakeStage(int stage, int64_t stride, int64_t dilation) {
  torch::nn::Sequential blocks;
  for (int64_t i = 0; i < options_.blocks[stage]; ++i) {
    BlockOptions block;
    block.in = in_channels_;
    block.planes = int64_t{64} << stage;
    block.stride = i == 0 ? stride : 1;
    block.first_dilation = block.second_dilation = Dilation(stage, i, dilation);
    if (!options_.dilate_second) block.second_dilation = 1;
    if (i == 0 && options_.halve_first_dilation) {
      block.first_dilation = std::max<int64_t>(dilation / 2, 1);
    }
    block.project = i == 0 && (stride != 1 || in_channels_ != Channels(stage));
    block.norm = options_.norm;
    Append(blocks, block, options_.bottleneck);
    in_channels_ = Channels(stage);
  }
  return register_module("layer" + std::to_string(stage + 1), blocks);
}

Tensor ResNet::Stem(const Tensor& images) {
  Tensor x = images;
  for (int i = 0; i < 3 && !convolutions_[i].is_empty(); ++i) {
    x = Relu(norms_[i](convolutions_[i](x)));
  }
  return torch::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
}

StageMaps ResNet::Forward(const Tensor& images) {
  StageMaps outputs;
  Tensor x = Stem(images);
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = x = stages_[i]->forward(x);
  return outputs;
}

}  // namespace reflux
