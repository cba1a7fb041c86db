#include "distill/losses/frskd_loss.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/choose.h"
#include "common/base/status_macros.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

using torch::Tensor;

FrskdTermOptions TermOptions(const FrskdOptions& options) {
  return {
      .features = options.features,
      .temperature = options.temperature,
      .power = options.power,
      .student_channels = options.self_teacher.channels,
      .teacher_channels = std::vector<int64_t>(options.taps.size(), options.self_teacher.width)};
}

absl::Status NotNegative(absl::string_view field, double value) {
  if (value >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("losses.frskd.", field, ": ", value, " is negative"));
}

// Zero, connected to every parameter of `module`.
Tensor ConnectedZero(const torch::nn::Module& module, const Tensor& like) {
  Tensor zero = torch::zeros({}, like.options());
  for (const Tensor& parameter : module.parameters()) zero = zero + parameter.sum() * 0;
  return zero;
}

}  // namespace

absl::StatusOr<FrskdOptions::Margin> ParseFrskdMargin(absl::string_view name) {
  using Margin = FrskdOptions::Margin;
  return Choose<Margin>("losses.frskd.margin", name,
                        {{"trained", Margin::kTrained}, {"untrained", Margin::kUntrained}});
}

absl::Status FrskdOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(TermOptions(*this).Validate());
  REFLUX_RETURN_IF_ERROR(NotNegative("alpha", alpha));
  REFLUX_RETURN_IF_ERROR(NotNegative("beta", beta));
  if (!(warmup >= 0 && warmup < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("losses.frskd.warmup: ", warmup, " is not at least 0 and below 1"));
  }
  const absl::Status status = self_teacher.Validate();
  if (status.ok()) return status;
  return absl::InvalidArgumentError(absl::StrCat("losses.frskd.", status.message()));
}

FrskdLoss::FrskdLoss(const FrskdOptions& options) : options_(options) {
  self_teacher_ = register_module("self_teacher", SelfTeacher(options.self_teacher));
  terms_ = register_module("terms", std::make_shared<FrskdTerms>(TermOptions(options)));
  InitializeWeights(*this, options.seed);
}

std::vector<std::string> FrskdLoss::student_taps() const {
  std::vector<std::string> taps = options_.taps;
  taps.push_back("logits");
  return taps;
}

double FrskdLoss::RampAt(uint64_t step, int64_t total_steps) const {
  const int64_t warmup = std::llround(options_.warmup * static_cast<double>(total_steps));
  const auto now = static_cast<int64_t>(step);
  if (options_.ramp) return FrskdRamp(now, warmup, total_steps);
  return now < warmup ? 0 : 1;
}

Tensor FrskdLoss::MarginOf(size_t level) const {
  if (options_.features != FrskdFeatures::kOverhaul) return {};
  const BatchNorm2d norm = self_teacher_->final_norms()[level];
  if (options_.margin == FrskdOptions::Margin::kTrained) {
    return OverhaulMargin(norm->weight, norm->bias);
  }
  return OverhaulMargin(torch::ones_like(norm->weight), torch::zeros_like(norm->bias));
}

Tensor FrskdLoss::SoftLabels(const LossInputs& inputs, const SelfTeacherOutputs& refined) const {
  const Tensor& logits = RequireMap(inputs.student, "logits", "student");
  return terms_->SoftLabels(ResizeToLabels(logits, inputs.labels, /*align_corners=*/true),
                            ResizeToLabels(refined.logits, inputs.labels, /*align_corners=*/true));
}

Tensor FrskdLoss::Features(const std::vector<Tensor>& maps, const SelfTeacherOutputs& refined) {
  const bool before_relu = options_.features == FrskdFeatures::kOverhaul;
  const std::vector<Tensor>& targets = before_relu ? refined.maps.before_relu : refined.maps.maps;
  std::vector<Tensor> levels;
  for (size_t i = 0; i < maps.size(); ++i) {
    levels.push_back(terms_->Level(static_cast<int64_t>(i), maps[i], targets[i], MarginOf(i)));
  }
  return torch::stack(levels).sum();
}

LossStatistics FrskdLoss::Local(const LossInputs& inputs) {
  std::vector<Tensor> maps;
  for (const std::string& tap : options_.taps) {
    maps.push_back(RequireMap(inputs.student, tap, "student"));
  }
  const SelfTeacherOutputs refined = self_teacher_->forward(maps);
  const Tensor ce =
      CrossEntropySum(refined.logits, inputs.labels, inputs.ignore_index, /*align_corners=*/true);
  ramp_ = RampAt(inputs.step, inputs.total_steps);
  // The same choice on every rank; what is left out costs as much as the cross entropy.
  const bool distils = ramp_ > 0;
  const Tensor soft = distils ? SoftLabels(inputs, refined)
                              : RequireMap(inputs.student, "logits", "student").sum() * 0;
  const Tensor features = distils ? Features(maps, refined) : ConnectedZero(*terms_, ce);
  return {torch::stack({ce, soft, features}),
          torch::tensor({inputs.labels.ne(inputs.ignore_index).sum().item<double>(),
                         static_cast<double>(inputs.labels.size(0))},
                        torch::kFloat64)};
}

Tensor FrskdLoss::Finish(const LossStatistics& global) {
  const Tensor counts = global.counts.clamp_min(1).to(global.sums.options());
  const Tensor distillation = options_.alpha * global.sums[1] + options_.beta * global.sums[2];
  return global.sums[0] / counts[0] + ramp_ * distillation / counts[1];
}

std::map<std::string, double> FrskdLoss::Parts(const LossStatistics& global) {
  const auto mean = [&](int64_t sum, int64_t count) {
    return global.sums[sum].item<double>() / std::max(global.counts[count].item<double>(), 1.0);
  };
  std::map<std::string, double> parts = {{"self_teacher", mean(0, 0)}};
  if (ramp_ > 0) parts["soft_labels"] = mean(1, 1), parts["features"] = mean(2, 1);
  return parts;
}

}  // namespace reflux
