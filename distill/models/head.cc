#include "distill/models/head.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/pooling.h>

namespace reflux {

using torch::Tensor;
using torch::nn::ReLU;  // ReLU(true): in place
using torch::nn::Sequential;

std::vector<TapInfo> FeatureTaps(const ModelOptions& options, int64_t stride) {
  return {{"aspp", options.aspp_width, stride}, {"logits", options.num_classes, stride}};
}

NormOptions HeadNorm(const ModelOptions& options) {
  return {options.norm_epsilon, options.norm_momentum};
}

ClassifierBlock::ClassifierBlock(int64_t in_channels, int64_t hidden_channels,
                                 const ModelOptions& options)
    : convolution_(Convolution({.in = in_channels, .out = hidden_channels, .kernel = 3})),
      classifier_(torch::nn::Conv2dOptions(hidden_channels, options.num_classes, 1)),
      norm_(Norm(hidden_channels, HeadNorm(options))),
      dropout_(options.head_dropout),
      sequence_(convolution_, norm_, ReLU(true), dropout_, classifier_) {}

Tensor ClassifierBlock::Features(const Tensor& input) {
  return dropout_(norm_(convolution_(input)).relu_());
}

Aspp::Aspp(int64_t in_channels, int64_t stride, const ModelOptions& options)
    : projection(Convolution({.in = 5 * options.aspp_width, .out = options.aspp_width})),
      norm(Norm(options.aspp_width, HeadNorm(options))),
      dropout(options.aspp_dropout) {
  const int64_t width = options.aspp_width;
  const auto add = [&](int64_t kernel, int64_t dilation) {
    const ConvolutionOptions branch{
        .in = in_channels, .out = width, .kernel = kernel, .dilation = dilation};
    branches.push_back(
        std::make_shared<ConvolutionNorm>(branch, HeadNorm(options), Activation::kRelu));
  };
  add(1, 1);
  for (const int64_t rate : {12, 24, 36}) add(3, rate * 8 / stride);
  pooling =
      Sequential(torch::nn::AdaptiveAvgPool2d(1), Convolution({.in = in_channels, .out = width}),
                 Norm(width, HeadNorm(options)), ReLU(true));
}

Tensor Aspp::Forward(const Tensor& input) {
  std::vector<Tensor> maps;
  for (const auto& branch : branches) maps.push_back(branch->forward(input));
  // A 1x1 map, so its bilinear upsampling is a copy to every position.
  maps.push_back(pooling->forward(input).expand({-1, -1, input.size(2), input.size(3)}));
  return dropout(norm(projection(torch::cat(maps, 1))).relu_());
}

}  // namespace reflux
