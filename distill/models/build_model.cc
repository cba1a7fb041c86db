#include "distill/models/build_model.h"

#include <cmath>
#include <functional>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/counter_random.h"
#include "common/base/status_macros.h"
#include "distill/models/batch_norm.h"
#include "distill/models/deeplabv3.h"
#include "distill/models/resnet.h"

namespace reflux {
namespace {

struct Architecture {
  int64_t aspp_width;  // default
  std::function<std::shared_ptr<SegmentationModel>(const ModelOptions&)> build;
};

std::shared_ptr<SegmentationModel> BuildDeepLabV3(const ModelOptions& options,
                                                  ResNetOptions backbone) {
  backbone.output_stride = options.output_stride;
  backbone.norm = {options.norm_epsilon, options.norm_momentum};
  return std::make_shared<DeepLabV3>(options, backbone);
}

const std::map<std::string, Architecture>& Architectures() {
  static const auto* const table = new std::map<std::string, Architecture>{
      {"deeplabv3_resnet18",
       {128,
        [](const ModelOptions& o) {
          return BuildDeepLabV3(o, {.blocks = {2, 2, 2, 2}, .bottleneck = false});
        }}},
      {"deeplabv3_resnet101",
       {256, [](const ModelOptions& o) {
          return BuildDeepLabV3(o, {.blocks = {3, 4, 23, 3}, .bottleneck = true});
        }}}};
  return *table;
}

absl::Status OutOfRange(absl::string_view field, double value, absl::string_view allowed) {
  return absl::InvalidArgumentError(
      absl::StrCat("model.", field, " is ", value, ", must be ", allowed));
}

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

void InitializeConvolution(const std::string& name, torch::nn::Conv2dImpl& conv, uint64_t seed) {
  const double fan_out = conv.weight.numel() / static_cast<double>(conv.weight.size(1));
  const double fan_in = conv.weight.numel() / static_cast<double>(conv.weight.size(0));
  const CounterRandom random(seed, absl::StrCat("init:", name, ".weight"));
  if (absl::StartsWith(name, "pretrained.")) {
    FillNormal(random, std::sqrt(2 / fan_out), conv.weight);
  } else {
    FillUniform(random, 1 / std::sqrt(fan_in), conv.weight);
  }
  if (conv.bias.defined()) {
    const CounterRandom bias_random(seed, absl::StrCat("init:", name, ".bias"));
    FillUniform(bias_random, 1 / std::sqrt(fan_in), conv.bias);
  }
}

void ResetNorm(BatchNorm2dImpl& norm) {
  norm.weight.fill_(1);
  norm.bias.zero_();
  norm.running_mean.zero_();
  norm.running_var.fill_(1);
  norm.num_batches_tracked.zero_();
}

}  // namespace

absl::Status ModelOptions::Validate() const {
  if (num_classes < 2 || num_classes > kMaxClasses) {
    return OutOfRange("num_classes", num_classes, absl::StrCat("2 to ", kMaxClasses));
  }
  if (output_stride != 8 && output_stride != 16) {
    return OutOfRange("output_stride", output_stride, "8 or 16");
  }
  if (aspp_width < 0 || aspp_width > kMaxWidth) {
    return OutOfRange("aspp_width", aspp_width,
                      absl::StrCat("1 to ", kMaxWidth, ", or 0 for the architecture's own"));
  }
  for (const auto& [field, rate] : {std::pair<const char*, double>{"head_dropout", head_dropout},
                                    {"aspp_dropout", aspp_dropout}}) {
    if (!(rate >= 0 && rate < 1)) return OutOfRange(field, rate, "at least 0 and below 1");
  }
  if (!(norm_epsilon > 0)) return OutOfRange("norm_epsilon", norm_epsilon, "positive");
  if (!(norm_momentum > 0 && norm_momentum <= 1)) {
    return OutOfRange("norm_momentum", norm_momentum, "above 0 and at most 1");
  }
  return absl::OkStatus();
}

std::vector<std::string> KnownArchitectures() {
  std::vector<std::string> names;
  for (const auto& [name, architecture] : Architectures()) names.push_back(name);
  return names;
}

absl::StatusOr<ModelOptions> ResolveModelOptions(ModelOptions options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  const auto found = Architectures().find(options.architecture);
  if (found == Architectures().end()) {
    return absl::NotFoundError(absl::StrCat("unknown architecture '", options.architecture,
                                            "'; known are ",
                                            absl::StrJoin(KnownArchitectures(), ", ")));
  }
  if (options.aspp_width == 0) options.aspp_width = found->second.aspp_width;
  return options;
}

absl::StatusOr<std::shared_ptr<SegmentationModel>> BuildModel(const ModelOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(const ModelOptions resolved, ResolveModelOptions(options));
  return Architectures().at(resolved.architecture).build(resolved);
}

void InitializeWeights(torch::nn::Module& model, uint64_t seed) {
  torch::NoGradGuard no_grad;
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    if (auto* conv = item.value()->as<torch::nn::Conv2dImpl>()) {
      InitializeConvolution(item.key(), *conv, seed);
    } else if (auto* norm = item.value()->as<BatchNorm2dImpl>()) {
      ResetNorm(*norm);
    } else {
      TORCH_CHECK(item.value()->parameters(/*recurse=*/false).empty(),
                  "no initialisation is defined for the parameters of '", item.key(), "'");
    }
  }
  for (const auto& item : model.named_modules("", /*include_self=*/false)) {
    if (auto* block = item.value()->as<ResidualBlock>()) block->branch_norm()->weight.zero_();
  }
}

}  // namespace reflux
