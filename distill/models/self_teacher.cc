#include "distill/models/self_teacher.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/conv.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

using torch::Tensor;

torch::nn::Conv2d Convolution(int64_t in, int64_t out, int64_t kernel, bool bias) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in, out, kernel).padding(kernel / 2).bias(bias));
}

absl::Status CheckBetween(const char* field, int64_t value, int64_t largest) {
  if (value >= 1 && value <= largest) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, " is not between 1 and ", largest));
}

}  // namespace

absl::Status SelfTeacherOptions::Validate() const {
  for (const int64_t map : channels) {
    if (absl::Status s = CheckBetween("taps", map, 65536); !s.ok()) return s;
  }
  if (channels.empty()) return absl::InvalidArgumentError("taps: needs at least one feature map");
  if (num_classes < 2) return absl::InvalidArgumentError("needs at least two classes");
  if (absl::Status s = CheckBetween("width", width, kMaxWidth); !s.ok()) return s;
  if (absl::Status s = CheckBetween("layers", layers, kMaxLayers); !s.ok()) return s;
  return CheckBetween("head_width", head_width, kMaxWidth);
}

SelfTeacherImpl::SelfTeacherImpl(const SelfTeacherOptions& o) {
  auto lateral = register_module("lateral", std::make_shared<torch::nn::Module>());
  for (size_t i = 0; i < o.channels.size(); ++i) {
    lateral_.push_back(nullptr);
    if (o.channels[i] == o.width) continue;
    lateral_[i] = torch::nn::Sequential(Convolution(o.channels[i], o.width, 1, /*bias=*/false),
                                        BatchNorm2d(o.width, o.norm_epsilon));
    lateral->register_module(std::to_string(i), lateral_[i]);
  }
  auto layers = register_module("layers", torch::nn::ModuleList());
  for (int64_t i = 0; i < o.layers; ++i) {
    layers_.emplace_back(o.width, static_cast<int64_t>(o.channels.size()), i + 1 == o.layers,
                         o.norm_epsilon);
    layers->push_back(layers_.back());
  }
  classifier_ = register_module(
      "classifier",
      torch::nn::Sequential(Convolution(o.width, o.head_width, 3, /*bias=*/true),
                            BatchNorm2d(o.head_width, o.head_norm_epsilon), torch::nn::ReLU(),
                            Convolution(o.head_width, o.num_classes, 3, true)));
}

SelfTeacherOutputs SelfTeacherImpl::forward(const std::vector<Tensor>& maps) {
  TORCH_CHECK_VALUE(maps.size() == lateral_.size(), "a self-teacher of ", lateral_.size(),
                    " maps was given ", maps.size());
  SelfTeacherOutputs outputs;
  outputs.maps.maps = maps;
  for (size_t i = 0; i < maps.size(); ++i) {
    if (!lateral_[i].is_empty()) {
      outputs.maps.maps[i] = torch::relu(lateral_[i]->forward(maps[i]));
    }
  }
  for (BifpnSegLayer& layer : layers_) outputs.maps = layer->forward(outputs.maps.maps);
  outputs.logits = classifier_->forward(outputs.maps.maps[0]);
  return outputs;
}

}  // namespace reflux
