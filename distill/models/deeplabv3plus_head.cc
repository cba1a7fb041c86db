#include "distill/models/deeplabv3plus_head.h"

#include <torch/nn/modules/activation.h>

#include "absl/strings/str_cat.h"

namespace reflux {

using torch::Tensor;
using torch::nn::ReLU;
using torch::nn::Sequential;

DeepLabV3PlusHead::DeepLabV3PlusHead(const StageShape& low, const StageShape& high,
                                     const ModelOptions& options)
    : options_(options),
      low_(low),
      high_(high),
      aspp_(high.channels, high.stride, options),
      low_convolution_(Convolution({.in = low.channels, .out = kLowLevelWidth})),
      first_(Convolution(
          {.in = options.aspp_width + kLowLevelWidth, .out = options.aspp_width, .kernel = 3})),
      second_(Convolution({.in = options.aspp_width, .out = options.aspp_width, .kernel = 3})),
      classifier_(torch::nn::Conv2dOptions(options.aspp_width, options.num_classes, 1)),
      low_norm_(Norm(kLowLevelWidth, HeadNorm(options))),
      first_norm_(Norm(options.aspp_width, HeadNorm(options))),
      second_norm_(Norm(options.aspp_width, HeadNorm(options))),
      first_dropout_(options.aspp_dropout),
      second_dropout_(options.head_dropout) {}

void DeepLabV3PlusHead::Register(torch::nn::Module& network) {
  const auto aspp = network.register_module("aspp", std::make_shared<torch::nn::Module>());
  for (size_t i = 0; i < aspp_.branches.size(); ++i) {
    const auto branch = std::make_shared<torch::nn::Module>();
    branch->register_module("atrous_conv", aspp_.branches[i]->convolution());
    branch->register_module("bn", aspp_.branches[i]->norm());
    aspp->register_module(absl::StrCat("aspp", i + 1), branch);
  }
  aspp->register_module("global_avg_pool", aspp_.pooling);
  aspp->register_module("conv1", aspp_.projection);
  aspp->register_module("bn1", aspp_.norm);
  aspp->register_module("dropout", aspp_.dropout);
  const auto decoder = network.register_module("decoder", std::make_shared<torch::nn::Module>());
  decoder->register_module("conv1", low_convolution_);
  decoder->register_module("bn1", low_norm_);
  decoder->register_module(
      "last_conv", Sequential(first_, first_norm_, ReLU(), first_dropout_, second_, second_norm_,
                              ReLU(), second_dropout_, classifier_));
}

TapOutputs DeepLabV3PlusHead::Forward(const StageMaps& stages) {
  const Tensor aspp = aspp_.Forward(stages[3]);
  const Tensor low = low_norm_(low_convolution_(stages[0])).relu_();
  const Tensor joined = torch::cat({UpsampleAs(aspp, low), low}, 1);
  const Tensor hidden = first_dropout_(first_norm_(first_(joined)).relu_());
  const Tensor features = second_dropout_(second_norm_(second_(hidden)).relu_());
  return {{"aspp", aspp}, {"decoder", features}, {"logits", classifier_(features)}};
}

std::vector<TapInfo> DeepLabV3PlusHead::taps() const {
  return {{"aspp", options_.aspp_width, high_.stride},
          {"decoder", options_.aspp_width, low_.stride},
          {"logits", options_.num_classes, low_.stride}};
}

}  // namespace reflux
