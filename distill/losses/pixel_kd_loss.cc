#include "distill/losses/pixel_kd_loss.h"

#include "absl/strings/str_cat.h"
#include "distill/losses/cross_entropy_loss.h"

namespace reflux {

absl::Status PixelKdOptions::Validate() const {
  if (temperature > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("losses.kd.temperature: ", temperature, " is not positive"));
}

LossStatistics PixelKdLoss::Local(const LossInputs& inputs) {
  const torch::Tensor teacher = RequireMap(inputs.teacher, "logits", "teacher").detach();
  const torch::Tensor student =
      ResizeLike(RequireMap(inputs.student, "logits", "student"), teacher);
  const torch::Tensor log_student = torch::log_softmax(student / options_.temperature, 1);
  const torch::Tensor log_teacher = torch::log_softmax(teacher / options_.temperature, 1);
  torch::Tensor sum = (log_teacher.exp() * (log_teacher - log_student)).sum();
  if (options_.temperature_squared) sum = sum * (options_.temperature * options_.temperature);
  return {sum.reshape({1}), CountOf(Divisor(student))};
}

int64_t PixelKdLoss::Divisor(const torch::Tensor& logits) const {
  switch (options_.divide_by) {
    case PixelKdOptions::DivideBy::kPositions:
      return logits.numel() / logits.size(1);
    case PixelKdOptions::DivideBy::kElements:
      return logits.numel();
    case PixelKdOptions::DivideBy::kBatch:
      return logits.size(0);
  }
  return 1;
}

torch::Tensor PixelKdLoss::Finish(const LossStatistics& global) { return FinishAdditive(global); }

}  // namespace reflux
