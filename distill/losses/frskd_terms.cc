#include "distill/losses/frskd_terms.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/choose.h"
#include "distill/losses/feature_losses.h"
#include "distill/losses/pixel_kd_loss.h"
#include "distill/models/batch_norm.h"
#include "distill/models/layers.h"

namespace reflux {

using torch::Tensor;

absl::StatusOr<FrskdFeatures> ParseFrskdFeatures(absl::string_view name) {
  return Choose<FrskdFeatures>("losses.frskd.features", name,
                               {{"at", FrskdFeatures::kAttention},
                                {"fitnet", FrskdFeatures::kFitNet},
                                {"overhaul", FrskdFeatures::kOverhaul}});
}

double FrskdRamp(int64_t position, int64_t warmup, int64_t total, double sharpness) {
  if (position < warmup) return 0;
  if (total <= warmup) return 1;
  const double done =
      static_cast<double>(position + 1 - warmup) / static_cast<double>(total - warmup);
  const double left = 1 - std::min(done, 1.0);
  return std::exp(-sharpness * left * left);
}

Tensor OverhaulMargin(const Tensor& weight, const Tensor& bias, double min_probability,
                      double fallback) {
  torch::NoGradGuard no_grad;
  // A dead channel has a deviation of zero; its mean is then all there is.
  const Tensor deviation = weight.to(torch::kFloat64).abs().clamp_min(1e-12);
  const Tensor mean = bias.to(torch::kFloat64);
  const Tensor ratio = mean / deviation;
  const Tensor probability = 0.5 * torch::erfc(ratio / std::sqrt(2.0));
  const Tensor density = (-0.5 * ratio.square()).exp() / std::sqrt(2 * M_PI);
  const Tensor below = mean - deviation * density / probability.clamp_min(min_probability);
  return torch::where(probability > min_probability, below, fallback * deviation)
      .to(weight.scalar_type());
}

absl::Status FrskdTermOptions::Validate() const {
  if (!(temperature > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("losses.frskd.temperature: ", temperature, " is not positive"));
  }
  if (power < 1) {
    return absl::InvalidArgumentError(absl::StrCat("losses.frskd.power: ", power, " is below 1"));
  }
  if (student_channels.empty() || student_channels.size() != teacher_channels.size()) {
    return absl::InvalidArgumentError("losses.frskd.taps: needs at least one feature map");
  }
  return absl::OkStatus();
}

FrskdTerms::FrskdTerms(const FrskdTermOptions& options) : options_(options) {
  if (options.features == FrskdFeatures::kAttention) return;
  linear_ = register_module("linear", torch::nn::ModuleList());
  for (size_t i = 0; i < options.student_channels.size(); ++i) {
    const int64_t in = options.student_channels[i], out = options.teacher_channels[i];
    linear_->push_back(torch::nn::Sequential(Convolution({.in = in, .out = out}),
                                             BatchNorm2d(out, options.norm_epsilon)));
  }
}

Tensor FrskdTerms::SoftLabels(const Tensor& student, const Tensor& teacher) const {
  const auto as_map = [](const Tensor& logits) {
    return logits.dim() == 2 ? logits.unsqueeze(-1).unsqueeze(-1) : logits;
  };
  LossInputs inputs;
  inputs.student["logits"] = as_map(student);
  inputs.teacher["logits"] = as_map(teacher);
  const Tensor& map = inputs.student["logits"];
  PixelKdLoss kd({.temperature = options_.temperature});
  return kd.Local(inputs).sums[0] / static_cast<double>(map.size(2) * map.size(3));
}

Tensor FrskdTerms::Overhaul(const Tensor& student, const Tensor& teacher,
                            const Tensor& margin) const {
  const Tensor target = torch::max(teacher, margin.view({1, -1, 1, 1}));
  const Tensor counts = (student > target) | (target > 0);
  return ((student - target).square() * counts.to(student.dtype())).sum();
}

Tensor FrskdTerms::Level(int64_t level, const Tensor& student, const Tensor& teacher,
                         const Tensor& margin) {
  const Tensor refined = teacher.detach();
  if (options_.features == FrskdFeatures::kAttention) {
    return AttentionDifferenceSum(student, refined, options_.power);
  }
  const Tensor connected = linear_[level]->as<torch::nn::SequentialImpl>()->forward(student);
  if (options_.features == FrskdFeatures::kOverhaul) {
    const auto finer = static_cast<int64_t>(options_.student_channels.size()) - 1 - level;
    return Overhaul(connected, refined, margin) / std::pow(2.0, static_cast<double>(finer));
  }
  const int64_t elements = refined.size(1) * refined.size(2) * refined.size(3);
  return SquaredDistance(torch::relu(connected), refined) / static_cast<double>(elements);
}

}  // namespace reflux
