#include "distill/models/deeplabv3.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

using torch::Tensor;
using torch::nn::ReLU;  // ReLU(true): in place
using torch::nn::Sequential;

constexpr std::array<int64_t, 3> kRatesAtStride8 = {12, 24, 36};  // halved at stride 16

torch::nn::Conv2d Convolution(int64_t in, int64_t out, int64_t kernel, int64_t dilation = 1) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel)
                               .padding(dilation * (kernel / 2))
                               .dilation(dilation)
                               .bias(false));
}

BatchNorm2d Norm(int64_t channels, const ModelOptions& options) {
  return BatchNorm2d(channels, options.norm_epsilon, options.norm_momentum);
}

// A module whose only child is `name`, for the reference's parameter names ("b1.block.0.weight").
class NamedChild : public torch::nn::Module {
 public:
  NamedChild(const std::string& name, const Sequential& child) { register_module(name, child); }
};

}  // namespace

AsppImpl::AsppImpl(int64_t in_channels, const ModelOptions& options) {
  const int64_t width = options.aspp_width;
  b0_ = register_module(
      "b0", Sequential(Convolution(in_channels, width, 1), Norm(width, options), ReLU(true)));
  for (size_t i = 0; i < kRatesAtStride8.size(); ++i) {
    const int64_t rate = kRatesAtStride8[i] * 8 / options.output_stride;
    dilated_.emplace_back(Convolution(in_channels, width, 3, rate), Norm(width, options),
                          ReLU(true));
    register_module(absl::StrCat("b", i + 1),
                    std::make_shared<NamedChild>("block", dilated_.back()));
  }
  pooling_ = Sequential(torch::nn::AdaptiveAvgPool2d(1), Convolution(in_channels, width, 1),
                        Norm(width, options), ReLU(true));
  register_module("b4", std::make_shared<NamedChild>("gap", pooling_));
  project_ =
      register_module("project", Sequential(Convolution(5 * width, width, 1), Norm(width, options),
                                            ReLU(), CounterDropout(options.aspp_dropout)));
}

Tensor AsppImpl::forward(const Tensor& input) {
  std::vector<Tensor> branches = {b0_->forward(input)};
  for (auto& branch : dilated_) branches.push_back(branch->forward(input));
  // A 1x1 map, so its bilinear upsampling is a copy to every position.
  const Tensor pooled = pooling_->forward(input);
  branches.push_back(pooled.expand({-1, -1, input.size(2), input.size(3)}));
  return project_->forward(torch::cat(branches, 1));
}

ClassifierBlockImpl::ClassifierBlockImpl(int64_t in_channels, int64_t hidden_channels,
                                         const ModelOptions& options) {
  conv_ = Convolution(in_channels, hidden_channels, 3);
  norm_ = Norm(hidden_channels, options);
  dropout_ = CounterDropout(options.head_dropout);
  classifier_ =
      torch::nn::Conv2d(torch::nn::Conv2dOptions(hidden_channels, options.num_classes, 1));
  register_module("block", Sequential(conv_, norm_, ReLU(true), dropout_, classifier_));
}

Tensor ClassifierBlockImpl::Features(const Tensor& input) {
  return dropout_(norm_(conv_(input)).relu_());
}

DeepLabV3::DeepLabV3(const ModelOptions& options, const ResNetOptions& backbone)
    : options_(options) {
  backbone_ = register_module("pretrained", ResNet(backbone));
  // The ASPP is a child of the head in the reference's names.
  head_ = register_module("head", ClassifierBlock(options.aspp_width, options.aspp_width, options));
  aspp_ = head_->register_module("aspp", Aspp(backbone_->channels(3), options));
  if (options.aux) {
    const int64_t in = backbone_->channels(2);
    auxiliary_ = register_module("auxlayer", ClassifierBlock(in, in / 4, options));
  }
}

std::vector<TapInfo> DeepLabV3::taps() const {
  std::vector<TapInfo> taps;
  for (int i = 0; i < 4; ++i) {
    taps.push_back({absl::StrCat("c", i + 1), backbone_->channels(i), backbone_->stride(i)});
  }
  taps.push_back({"aspp", options_.aspp_width, options_.output_stride});
  taps.push_back({"logits", options_.num_classes, options_.output_stride});
  if (options_.aux) taps.push_back({"aux", options_.num_classes, options_.output_stride});
  return taps;
}

std::string DeepLabV3::configuration() const {
  return absl::StrCat("output_stride=", options_.output_stride,
                      " norm_epsilon=", options_.norm_epsilon);
}

void DeepLabV3::CheckTaps(const std::vector<std::string>& wanted) const {
  std::vector<std::string> known;
  for (const auto& tap : taps()) known.push_back(tap.name);
  for (const auto& name : wanted) {
    TORCH_CHECK(std::find(known.begin(), known.end(), name) != known.end(), architecture(),
                " has no tap '", name, "'; it has ", absl::StrJoin(known, ", "));
  }
}

TapOutputs DeepLabV3::Forward(const Tensor& images, const std::vector<std::string>& wanted) {
  CheckTaps(wanted);
  const auto wants = [&](const std::string& name) {
    return std::find(wanted.begin(), wanted.end(), name) != wanted.end();
  };
  const auto stages = backbone_->forward(images);
  const Tensor features = head_->Features(aspp_->forward(stages[3]));
  TapOutputs outputs = {{"logits", head_->Classify(features)}};
  for (size_t i = 0; i < stages.size(); ++i) {
    const std::string name = absl::StrCat("c", i + 1);
    if (wants(name)) outputs[name] = stages[i];
  }
  if (wants("aspp")) outputs["aspp"] = features;
  if (auxiliary_ && (is_training() || wants("aux"))) {
    outputs["aux"] = auxiliary_->Classify(auxiliary_->Features(stages[2]));
  }
  return outputs;
}

}  // namespace reflux
