#include "distill/models/cirkd_heads.h"

#include <torch/nn/modules/activation.h>

#include <array>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

using torch::Tensor;
using torch::nn::ReLU;  // ReLU(true): in place
using torch::nn::Sequential;

constexpr std::array<int64_t, 4> kBins = {1, 2, 3, 6};

}  // namespace

DeepLabV3Head::DeepLabV3Head(const StageShape& input, const ModelOptions& options)
    : options_(options),
      stride_(input.stride),
      aspp_(input.channels, input.stride, options),
      block_(options.aspp_width, options.aspp_width, options) {}

void DeepLabV3Head::Register(torch::nn::Module& network) {
  const auto aspp = std::make_shared<torch::nn::Module>();
  aspp->register_module("b0", aspp_.branches[0]);
  for (size_t i = 1; i < aspp_.branches.size(); ++i) {
    aspp->register_module(absl::StrCat("b", i), Nested("block", aspp_.branches[i]));
  }
  aspp->register_module("b4", Nested("gap", aspp_.pooling.ptr()));
  aspp->register_module("project",
                        Sequential(aspp_.projection, aspp_.norm, ReLU(true), aspp_.dropout));
  const auto head = network.register_module("head", Nested("aspp", aspp));
  head->register_module("block", block_.sequence());
}

TapOutputs DeepLabV3Head::Forward(const StageMaps& stages) {
  const Tensor features = block_.Features(aspp_.Forward(stages[3]));
  return {{"aspp", features}, {"logits", block_.Classify(features)}};
}

std::vector<TapInfo> DeepLabV3Head::taps() const { return FeatureTaps(options_, stride_); }

PspHead::PspHead(const StageShape& input, const ModelOptions& options)
    : options_(options),
      stride_(input.stride),
      convolution_(Convolution({.in = 2 * input.channels, .out = options.aspp_width, .kernel = 3})),
      classifier_(torch::nn::Conv2dOptions(options.aspp_width, options.num_classes, 1)),
      norm_(Norm(options.aspp_width, HeadNorm(options))),
      dropout_(options.head_dropout) {
  for (size_t i = 0; i < kBins.size(); ++i) {
    pooled_.push_back(std::make_shared<ConvolutionNorm>(
        ConvolutionOptions{.in = input.channels, .out = input.channels / 4}, HeadNorm(options),
        Activation::kRelu));
  }
}

void PspHead::Register(torch::nn::Module& network) {
  const auto psp = std::make_shared<torch::nn::Module>();
  for (size_t i = 0; i < pooled_.size(); ++i) {
    psp->register_module(absl::StrCat("conv", i + 1), pooled_[i]);
  }
  const auto head = network.register_module("head", Nested("psp", psp));
  head->register_module("block", Sequential(convolution_, norm_, ReLU(true), dropout_));
  head->register_module("classifier", classifier_);
}

TapOutputs PspHead::Forward(const StageMaps& stages) {
  const Tensor& input = stages[3];
  std::vector<Tensor> maps = {input};
  for (size_t i = 0; i < kBins.size(); ++i) {
    const Tensor bins = torch::adaptive_avg_pool2d(input, {kBins[i], kBins[i]});
    maps.push_back(UpsampleAs(pooled_[i]->forward(bins), input));
  }
  const Tensor features = dropout_(norm_(convolution_(torch::cat(maps, 1))).relu_());
  return {{"aspp", features}, {"logits", classifier_(features)}};
}

std::vector<TapInfo> PspHead::taps() const { return FeatureTaps(options_, stride_); }

}  // namespace reflux
