#include "distill/models/efficientdet_head.h"

#include <torch/nn/modules/activation.h>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

using torch::Tensor;
using torch::nn::Sequential;

constexpr int64_t kWidth = 64, kLevels = 6, kLayers = 3, kFinestStride = 4;
constexpr double kNormEpsilon = 1e-4;

torch::nn::Conv2d BiasedConvolution(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2));
}

Sequential Block(int64_t in, int64_t out, int64_t kernel, int64_t stride,
                 const ModelOptions& options) {
  return Sequential(BiasedConvolution(in, out, kernel, stride),
                    BatchNorm2d(out, kNormEpsilon, options.norm_momentum),
                    torch::nn::ReLU(torch::nn::ReLUOptions(true)));
}

Tensor AddUpsampled(const Tensor& coarse, const Tensor& fine) {
  return torch::upsample_bilinear2d(coarse, {fine.size(2), fine.size(3)},
                                    /*align_corners=*/false) +
         fine;
}

}  // namespace

EfficientDetHead::EfficientDetHead(const std::array<StageShape, 4>& stages,
                                   const ModelOptions& options)
    : options_(options),
      conv6_(Block(stages[3].channels, kWidth, 3, 2, options)),
      conv7_(Block(kWidth, kWidth, 3, 2, options)),
      top_(Block(stages[3].channels, kWidth, 1, 1, options)),
      classifier_(Block(kWidth, options.aspp_width, 3, 1, options)),
      last_(BiasedConvolution(options.aspp_width, options.num_classes, 3)) {
  for (int stage = 2; stage >= 0; --stage) {
    lateral_.push_back(Block(stages[stage].channels, kWidth, 1, 1, options));
  }
  for (int64_t i = 0; i < kLayers; ++i) layers_.emplace_back(kWidth, kLevels, /*last=*/false);
}

void EfficientDetHead::Register(torch::nn::Module& network) {
  network.register_module("conv6", conv6_);
  network.register_module("conv7", conv7_);
  network.register_module("toplayer", top_);
  for (size_t i = 0; i < lateral_.size(); ++i) {
    network.register_module(absl::StrCat("latlayer", i + 1), lateral_[i]);
  }
  const auto layers = network.register_module("BiFPN1", std::make_shared<torch::nn::Module>());
  for (size_t i = 0; i < layers_.size(); ++i) {
    layers->register_module(absl::StrCat(i), layers_[i]);
  }
  const auto classifier =
      network.register_module("classifier1", std::make_shared<torch::nn::Module>());
  classifier->register_module("0", classifier_->ptr(0));
  classifier->register_module("1", classifier_->ptr(1));
  classifier->register_module("3", last_);
}

// p2..p7 before the first layer: a top-down sum over the stages, and two levels below them.
std::vector<Tensor> EfficientDetHead::Levels(const StageMaps& stages) {
  const Tensor p6 = conv6_->forward(stages[3]), p7 = conv7_->forward(p6);
  std::vector<Tensor> levels = {top_->forward(stages[3]), p6, p7};
  for (size_t i = 0; i < lateral_.size(); ++i) {
    levels.insert(levels.begin(),
                  AddUpsampled(levels.front(), lateral_[i]->forward(stages[2 - i])));
  }
  return levels;
}

TapOutputs EfficientDetHead::Forward(const StageMaps& stages) {
  std::vector<Tensor> levels = Levels(stages);
  for (BifpnSegLayer& layer : layers_) levels = layer->forward(levels).maps;
  TapOutputs outputs;
  for (size_t i = 0; i < levels.size(); ++i) outputs[absl::StrCat("p", i + 2)] = levels[i];
  const Tensor features = classifier_->forward(levels[0]);
  outputs["aspp"] = features;
  outputs["logits"] = last_(features);
  return outputs;
}

std::vector<TapInfo> EfficientDetHead::taps() const {
  std::vector<TapInfo> taps;
  for (int64_t i = 0; i < kLevels; ++i) {
    taps.push_back({absl::StrCat("p", i + 2), kWidth, kFinestStride << i});
  }
  for (TapInfo& tap : FeatureTaps(options_, kFinestStride)) taps.push_back(std::move(tap));
  return taps;
}

}  // namespace reflux
