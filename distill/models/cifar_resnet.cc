#include "distill/models/cifar_resnet.h"

#include "distill/models/layers.h"

namespace reflux {
namespace {

using torch::Tensor;

class ReluFirstBlock : public torch::nn::Module {
 public:
  ReluFirstBlock(int64_t in, int64_t out, int64_t stride, const ClassifierOptions& o) {
    const auto norm = [&] { return BatchNorm2d(out, o.norm_epsilon, o.norm_momentum); };
    conv1_ = register_module("conv1",
                             Convolution({.in = in, .out = out, .kernel = 3, .stride = stride}));
    bn1_ = register_module("bn1", norm());
    conv2_ = register_module("conv2", Convolution({.in = out, .out = out, .kernel = 3}));
    bn2_ = register_module("bn2", norm());
    if (stride == 1 && in == out) return;
    downsample_ = register_module(
        "downsample",
        torch::nn::Sequential(Convolution({.in = in, .out = out, .stride = stride}), norm()));
  }

  Tensor forward(const Tensor& input) {
    const Tensor x = torch::relu(input);
    const Tensor branch = bn2_(conv2_(torch::relu(bn1_(conv1_(x)))));
    return branch + (downsample_.is_empty() ? x : downsample_->forward(x));
  }

 private:
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr};
  BatchNorm2d bn1_{nullptr}, bn2_{nullptr};
  torch::nn::Sequential downsample_{nullptr};
};

}  // namespace

CifarResNet18::CifarResNet18(const ClassifierOptions& options, Stem stem)
    : ImageClassifier(options), stem_(stem) {
  const bool cifar = stem == Stem::kCifar;
  conv1_ =
      register_module("conv1", cifar ? Convolution({.in = 3, .out = 64, .kernel = 3})
                                     : Convolution({.in = 3, .out = 64, .kernel = 7, .stride = 2}));
  bn1_ = register_module("bn1", BatchNorm2d(64, options.norm_epsilon, options.norm_momentum));
  int64_t in = 64;
  for (const int64_t out : channels()) {
    torch::nn::Sequential stage;
    stage->push_back(std::make_shared<ReluFirstBlock>(in, out, stages_.empty() ? 1 : 2, options));
    stage->push_back(std::make_shared<ReluFirstBlock>(out, out, 1, options));
    stages_.push_back(register_module("layer" + std::to_string(stages_.size() + 1), stage));
    in = out;
  }
  fc_ = register_module("fc", torch::nn::Linear(in, options.num_classes));
}

ClassifierOutputs CifarResNet18::Classify(const Tensor& images) {
  Tensor x = bn1_(conv1_(images));
  if (stem_ == Stem::kImageNet) {
    x = torch::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, /*padding=*/1);
  }
  ClassifierOutputs outputs;
  for (torch::nn::Sequential& stage : stages_) {
    x = stage->forward(x);
    outputs.before_relu.push_back(x);
    outputs.maps.push_back(torch::relu(x));
  }
  outputs.logits = fc_(outputs.maps.back().mean({2, 3}));
  return outputs;
}

}  // namespace reflux
