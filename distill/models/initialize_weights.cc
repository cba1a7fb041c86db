#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/counter_random.h"
#include "distill/models/batch_norm.h"
#include "distill/models/build_model.h"
#include "distill/models/layers.h"
#include "distill/models/wide_resnet.h"

namespace reflux {
namespace {

// Two standard normal numbers by Box and Muller for each counter.
void FillNormal(const CounterRandom& random, double deviation, torch::Tensor weight) {
  const torch::Tensor values = torch::empty({weight.numel()}, torch::kFloat64);
  double* out = values.data_ptr<double>();
  for (int64_t i = 0; i < weight.numel(); i += 2) {
    const double radius = std::sqrt(-2 * std::log1p(-random.Uniform(i / 2, 0)));
    const double angle = 2 * M_PI * random.Uniform(i / 2, 1);
    out[i] = deviation * radius * std::cos(angle);
    if (i + 1 < weight.numel()) out[i + 1] = deviation * radius * std::sin(angle);
  }
  weight.copy_(values.reshape(weight.sizes()));
}

void FillUniform(const CounterRandom& random, double bound, torch::Tensor weight) {
  const torch::Tensor values = torch::empty({weight.numel()}, torch::kFloat64);
  double* out = values.data_ptr<double>();
  for (int64_t i = 0; i < weight.numel(); ++i) out[i] = bound * (2 * random.Uniform(i) - 1);
  weight.copy_(values.reshape(weight.sizes()));
}

bool IsBackbone(const std::string& name) {
  return absl::StartsWith(name, "pretrained.") || absl::StartsWith(name, "backbone.");
}

// AICSD's heads.
bool IsDeepLabV3PlusHead(const std::string& name) {
  return absl::StartsWith(name, "aspp.") || absl::StartsWith(name, "decoder.");
}

void InitializeLinear(const std::string& name, torch::nn::LinearImpl& linear, bool zero_bias,
                      uint64_t seed) {
  const double bound = 1 / std::sqrt(static_cast<double>(linear.weight.size(1)));
  FillUniform(CounterRandom(seed, absl::StrCat("init:", name, ".weight")), bound, linear.weight);
  if (!linear.bias.defined()) return;
  if (zero_bias) {
    linear.bias.zero_();
  } else {
    FillUniform(CounterRandom(seed, absl::StrCat("init:", name, ".bias")), bound, linear.bias);
  }
}

// `wide` for wide ResNets, whose code draws every convolution as backbones are drawn.
void InitializeConvolution(const std::string& name, torch::nn::Conv2dImpl& conv, bool wide,
                           uint64_t seed) {
  const double fan_out = conv.weight.numel() / static_cast<double>(conv.weight.size(1));
  const double fan_in = conv.weight.numel() / static_cast<double>(conv.weight.size(0));
  const CounterRandom random(seed, absl::StrCat("init:", name, ".weight"));
  if (wide || IsBackbone(name)) {
    FillNormal(random, std::sqrt(2 / fan_out), conv.weight);
  } else if (IsDeepLabV3PlusHead(name)) {
    FillNormal(random, std::sqrt(2 / fan_in), conv.weight);
  } else {
    FillUniform(random, 1 / std::sqrt(fan_in), conv.weight);
  }
  if (!conv.bias.defined()) return;
  if (IsBackbone(name)) {
    conv.bias.zero_();
    return;
  }
  const CounterRandom bias_random(seed, absl::StrCat("init:", name, ".bias"));
  FillUniform(bias_random, 1 / std::sqrt(fan_in), conv.bias);
}

void ResetNorm(BatchNorm2dImpl& norm) {
  norm.weight.fill_(1);
  norm.bias.zero_();
  norm.running_mean.zero_();
  norm.running_var.fill_(1);
  norm.num_batches_tracked.zero_();
}

}  // namespace

void InitializeWeights(torch::nn::Module& model, uint64_t seed) {
  torch::NoGradGuard no_grad;
  const bool wide = dynamic_cast<const WideResNet*>(&model) != nullptr;
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    if (auto* conv = item.value()->as<torch::nn::Conv2dImpl>()) {
      InitializeConvolution(item.key(), *conv, wide, seed);
    } else if (auto* linear = item.value()->as<torch::nn::LinearImpl>()) {
      InitializeLinear(item.key(), *linear, wide, seed);
    } else if (auto* weights = item.value()->as<torch::nn::ParameterListImpl>()) {
      for (torch::Tensor& weight : weights->parameters()) weight.fill_(1);  // of a pyramid's sums
    } else if (auto* norm = item.value()->as<BatchNorm2dImpl>()) {
      ResetNorm(*norm);
    } else {
      TORCH_CHECK(item.value()->parameters(/*recurse=*/false).empty(),
                  "no initialisation is defined for the parameters of '", item.key(), "'");
    }
  }
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    const auto* block = item.value()->as<ResidualBlock>();
    if (block != nullptr && block->branch_norm()) block->branch_norm()->weight.zero_();
  }
}

}  // namespace reflux
