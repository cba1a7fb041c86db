#include "distill/models/mmseg_heads.h"

#include <array>
#include <string>

namespace reflux {
namespace {

using torch::Tensor;

constexpr std::array<int64_t, 4> kBins = {1, 2, 3, 6};
constexpr std::array<int64_t, 4> kDilations = {1, 12, 24, 36};

// Under mmcv's names.
std::shared_ptr<torch::nn::Module> MmcvNames(const ConvolutionNorm& layer) {
  auto module = std::make_shared<torch::nn::Module>();
  module->register_module("conv", layer.convolution());
  module->register_module("bn", layer.norm());
  return module;
}

// A pool without parameters is child "0".
std::shared_ptr<torch::nn::Module> AfterPool(const ConvolutionNorm& layer) {
  return Nested("1", MmcvNames(layer));
}

}  // namespace

MmsegHead::MmsegHead(const StageShape& input, int64_t concatenated, const ModelOptions& options)
    : options_(options),
      stride_(input.stride),
      bottleneck_({.in = concatenated, .out = options.aspp_width, .kernel = 3}, HeadNorm(options),
                  Activation::kRelu),
      classifier_(torch::nn::Conv2dOptions(options.aspp_width, options.num_classes, 1)),
      dropout_(options.head_dropout) {}

void MmsegHead::Register(torch::nn::Module& network) {
  const auto head = network.register_module("decode_head", std::make_shared<torch::nn::Module>());
  RegisterBranches(*head);
  head->register_module("bottleneck", MmcvNames(bottleneck_));
  head->register_module("dropout", dropout_);
  head->register_module("conv_seg", classifier_);
}

TapOutputs MmsegHead::Forward(const StageMaps& stages) {
  const Tensor features = dropout_(bottleneck_.forward(torch::cat(Branches(stages[3]), 1)));
  return {{"aspp", features}, {"logits", classifier_(features)}};
}

std::vector<TapInfo> MmsegHead::taps() const { return FeatureTaps(options_, stride_); }

MmsegDeepLabV3Head::MmsegDeepLabV3Head(const StageShape& input, const ModelOptions& options)
    : MmsegHead(input, 5 * options.aspp_width, options),
      pooled_({.in = input.channels, .out = options.aspp_width}, HeadNorm(options),
              Activation::kRelu) {
  for (const int64_t dilation : kDilations) {
    branches_.push_back(
        std::make_shared<ConvolutionNorm>(ConvolutionOptions{.in = input.channels,
                                                             .out = options.aspp_width,
                                                             .kernel = dilation == 1 ? 1 : 3,
                                                             .dilation = dilation},
                                          HeadNorm(options), Activation::kRelu));
  }
}

std::vector<Tensor> MmsegDeepLabV3Head::Branches(const Tensor& input) {
  // A 1x1 map, so its bilinear upsampling is a copy to every position.
  std::vector<Tensor> maps = {pooled_.forward(torch::adaptive_avg_pool2d(input, {1, 1}))
                                  .expand({-1, -1, input.size(2), input.size(3)})};
  for (const auto& branch : branches_) maps.push_back(branch->forward(input));
  return maps;
}

void MmsegDeepLabV3Head::RegisterBranches(torch::nn::Module& head) {
  head.register_module("image_pool", AfterPool(pooled_));
  const auto modules = head.register_module("aspp_modules", std::make_shared<torch::nn::Module>());
  for (size_t i = 0; i < branches_.size(); ++i) {
    modules->register_module(std::to_string(i), MmcvNames(*branches_[i]));
  }
}

MmsegPspHead::MmsegPspHead(const StageShape& input, const ModelOptions& options)
    : MmsegHead(input, input.channels + 4 * options.aspp_width, options) {
  for (size_t i = 0; i < kBins.size(); ++i) {
    pooled_.push_back(std::make_shared<ConvolutionNorm>(
        ConvolutionOptions{.in = input.channels, .out = options.aspp_width}, HeadNorm(options),
        Activation::kRelu));
  }
}

std::vector<Tensor> MmsegPspHead::Branches(const Tensor& input) {
  std::vector<Tensor> maps = {input};
  for (size_t i = 0; i < kBins.size(); ++i) {
    const Tensor bins =
        pooled_[i]->forward(torch::adaptive_avg_pool2d(input, {kBins[i], kBins[i]}));
    maps.push_back(torch::upsample_bilinear2d(bins, {input.size(2), input.size(3)},
                                              /*align_corners=*/false));
  }
  return maps;
}

void MmsegPspHead::RegisterBranches(torch::nn::Module& head) {
  const auto modules = head.register_module("psp_modules", std::make_shared<torch::nn::Module>());
  for (size_t i = 0; i < pooled_.size(); ++i) {
    modules->register_module(std::to_string(i), AfterPool(*pooled_[i]));
  }
}

}  // namespace reflux
