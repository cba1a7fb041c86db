#include "distill/models/torchvision_head.h"

#include <torch/nn/modules/activation.h>

#include "absl/strings/str_cat.h"

namespace reflux {

using torch::Tensor;
using torch::nn::ReLU;
using torch::nn::Sequential;

TorchvisionHead::TorchvisionHead(const StageShape& input, const ModelOptions& options)
    : options_(options),
      stride_(input.stride),
      aspp_(input.channels, /*stride=*/8, options),
      convolution_(Convolution({.in = options.aspp_width, .out = options.aspp_width, .kernel = 3})),
      classifier_(torch::nn::Conv2dOptions(options.aspp_width, options.num_classes, 1)),
      norm_(Norm(options.aspp_width, HeadNorm(options))) {}

void TorchvisionHead::Register(torch::nn::Module& network) {
  const auto branches = std::make_shared<torch::nn::Module>();
  for (size_t i = 0; i < aspp_.branches.size(); ++i) {
    branches->register_module(absl::StrCat(i), aspp_.branches[i]);
  }
  branches->register_module(absl::StrCat(aspp_.branches.size()), aspp_.pooling);
  const auto aspp = Nested("convs", branches);
  aspp->register_module("project",
                        Sequential(aspp_.projection, aspp_.norm, ReLU(true), aspp_.dropout));
  const auto classifier = network.register_module("classifier", Nested("0", aspp));
  classifier->register_module("1", convolution_);
  classifier->register_module("2", norm_);
  classifier->register_module("4", classifier_);
}

TapOutputs TorchvisionHead::Forward(const StageMaps& stages) {
  const Tensor features = norm_(convolution_(aspp_.Forward(stages[3]))).relu_();
  return {{"aspp", features}, {"logits", classifier_(features)}};
}

std::vector<TapInfo> TorchvisionHead::taps() const { return FeatureTaps(options_, stride_); }

}  // namespace reflux
