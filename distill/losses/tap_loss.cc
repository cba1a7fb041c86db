#include "distill/losses/tap_loss.h"

#include "absl/strings/str_cat.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/models/build_model.h"
#include "distill/models/layers.h"

namespace reflux {

absl::Status TapLossOptions::Validate(absl::string_view loss) const {
  if (student_channels >= 1 && teacher_channels >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("losses.", loss, ".tap: '", tap, "' has no channels"));
}

TapLoss::TapLoss(const TapLossOptions& options, bool same_width) : options_(options) {
  if (!same_width || options.student_channels == options.teacher_channels) return;
  conv_ = register_module(
      "conv", Convolution({.in = options.student_channels, .out = options.teacher_channels}));
  InitializeWeights(*this, options.seed);
}

LossStatistics TapLoss::Local(const LossInputs& inputs) {
  const torch::Tensor teacher = RequireMap(inputs.teacher, options_.tap, "teacher").detach();
  torch::Tensor student = RequireMap(inputs.student, options_.tap, "student");
  if (!conv_.is_empty()) student = conv_->forward(student);
  student = ResizeLike(student, teacher);
  return {SumOverImages(student, teacher, inputs).reshape({1}), CountOf(teacher.size(0))};
}

torch::Tensor TapLoss::Finish(const LossStatistics& global) { return FinishAdditive(global); }

}  // namespace reflux
