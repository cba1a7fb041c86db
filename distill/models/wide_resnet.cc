#include "distill/models/wide_resnet.h"

#include "distill/models/layers.h"

namespace reflux {
namespace {

using torch::Tensor;

class WideBlock : public torch::nn::Module {
 public:
  WideBlock(int64_t in, int64_t out, int64_t stride, const ClassifierOptions& o) {
    conv1_ = register_module("conv1",
                             Convolution({.in = in, .out = out, .kernel = 3, .stride = stride}));
    bn2_ = register_module("bn2", BatchNorm2d(out, o.norm_epsilon, o.norm_momentum));
    conv2_ = register_module("conv2", Convolution({.in = out, .out = out, .kernel = 3}));
    if (in != out)
      shortcut_ =
          register_module("convShortcut", Convolution({.in = in, .out = out, .stride = stride}));
  }

  // As published: an identity shortcut carries the map before the ReLU, a projected one that after
  // it.
  Tensor forward(const Tensor& input) {
    const Tensor x = torch::relu(input);
    const Tensor branch = conv2_(torch::relu(bn2_(conv1_(x))));
    return branch + (shortcut_.is_empty() ? input : shortcut_->forward(x));
  }

 private:
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr}, shortcut_{nullptr};
  BatchNorm2d bn2_{nullptr};
};

}  // namespace

WideResNet::WideResNet(const ClassifierOptions& options, int64_t depth, int64_t widening)
    : ImageClassifier(options), channels_({16 * widening, 32 * widening, 64 * widening}) {
  TORCH_CHECK_VALUE(depth >= 10 && depth % 6 == 4, "a wide ResNet has 6 n + 4 layers, not ", depth);
  const auto norm = [&](int64_t channels) {
    return BatchNorm2d(channels, options.norm_epsilon, options.norm_momentum);
  };
  conv1_ = register_module("conv1", Convolution({.in = 3, .out = 16, .kernel = 3}));
  int64_t in = 16;
  for (const int64_t out : channels_) {
    torch::nn::Sequential stage;
    for (int64_t i = 0; i < (depth - 4) / 6; ++i) {
      const int64_t stride = i == 0 && !stages_.empty() ? 2 : 1;
      stage->push_back(std::make_shared<WideBlock>(i == 0 ? in : out, out, stride, options));
    }
    const std::string name = "block" + std::to_string(stages_.size() + 1);
    // The published stage is a module with the list `layer`.
    auto block = register_module(name, std::make_shared<torch::nn::Module>());
    stages_.push_back(block->register_module("layer", stage));
    norms_.push_back(register_module(name + "bn", norm(out)));
    in = out;
  }
  // Never used, in the published code neither, but in its checkpoints.
  register_module("bn1", norm(in));
  fc_ = register_module("fc", torch::nn::Linear(in, options.num_classes));
}

ClassifierOutputs WideResNet::Classify(const Tensor& images) {
  Tensor x = conv1_(images);
  ClassifierOutputs outputs;
  for (size_t i = 0; i < stages_.size(); ++i) {
    x = norms_[i](stages_[i]->forward(x));
    outputs.before_relu.push_back(x);
    outputs.maps.push_back(torch::relu(x));
  }
  outputs.logits = fc_(outputs.maps.back().mean({2, 3}));
  return outputs;
}

}  // namespace reflux
