#include "distill/models/layers.h"

namespace reflux {

using torch::Tensor;

torch::nn::Conv2d Convolution(const ConvolutionOptions& o) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(o.in, o.out, o.kernel)
                               .stride(o.stride)
                               .padding(o.pad ? o.dilation * (o.kernel / 2) : 0)
                               .dilation(o.dilation)
                               .groups(o.groups)
                               .bias(false));
}

BatchNorm2d Norm(int64_t channels, const NormOptions& options) {
  return BatchNorm2d(channels, options.epsilon, options.momentum);
}

Tensor Activate(Tensor map, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return map;
    case Activation::kRelu:
      return map.relu_();
    case Activation::kRelu6:
      return torch::hardtanh_(map, 0, 6);
    case Activation::kHardswish:
      return torch::hardswish(map);
  }
  TORCH_CHECK(false, "unknown activation");
}

ConvolutionNorm::ConvolutionNorm(const ConvolutionOptions& convolution, const NormOptions& norm,
                                 Activation activation)
    : convolution_(Convolution(convolution)),
      norm_(Norm(convolution.out, norm)),
      activation_(activation) {
  register_module("0", convolution_);
  register_module("1", norm_);
}

Tensor ConvolutionNorm::forward(const Tensor& input) {
  return Activate(norm_(convolution_(input)), activation_);
}

std::shared_ptr<torch::nn::Module> Nested(const std::string& name,
                                          const std::shared_ptr<torch::nn::Module>& child) {
  auto parent = std::make_shared<torch::nn::Module>();
  parent->register_module(name, child);
  return parent;
}

Tensor UpsampleAs(const Tensor& map, const Tensor& reference) {
  return torch::upsample_bilinear2d(map, {reference.size(2), reference.size(3)},
                                    /*align_corners=*/true);
}

}  // namespace reflux
