#include "distill/losses/channel_wise_loss.h"

#include "absl/strings/str_cat.h"
#include "common/base/choose.h"
#include "common/base/status_macros.h"

namespace reflux {

using Norm = ChannelWiseOptions::Norm;
using DivideBy = ChannelWiseOptions::DivideBy;

absl::Status ChannelWiseOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(tap.Validate("cwd"));
  if (temperature > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("losses.cwd.temperature: ", temperature, " is not positive"));
}

absl::StatusOr<Norm> ParseCwdNorm(absl::string_view name) {
  return Choose<Norm>("losses.cwd.norm", name,
                      {{"channel", Norm::kChannel}, {"spatial", Norm::kSpatial}});
}

absl::StatusOr<DivideBy> ParseCwdDivideBy(absl::string_view name) {
  return Choose<DivideBy>("losses.cwd.divide_by", name,
                          {{"teacher_channels", DivideBy::kTeacherChannels},
                           {"student_channels", DivideBy::kStudentChannels}});
}

double ChannelWiseLoss::Divisor(const torch::Tensor& teacher) const {
  if (cwd_.norm == Norm::kSpatial) return static_cast<double>(teacher.size(2) * teacher.size(3));
  return static_cast<double>(
      cwd_.divide_by == DivideBy::kStudentChannels ? options().student_channels : teacher.size(1));
}

torch::Tensor ChannelWiseLoss::SumOverImages(const torch::Tensor& student,
                                             const torch::Tensor& teacher, const LossInputs&) {
  const int64_t over = cwd_.norm == Norm::kChannel ? 2 : 1;
  const auto log_probability = [&](const torch::Tensor& map) {
    return torch::log_softmax(map.flatten(2) / cwd_.temperature, over);
  };
  const torch::Tensor of_teacher = log_probability(teacher);
  const torch::Tensor kl = (of_teacher.exp() * (of_teacher - log_probability(student))).sum();
  const double squared = cwd_.temperature_squared ? cwd_.temperature * cwd_.temperature : 1;
  return kl * (squared / Divisor(teacher));
}

}  // namespace reflux
