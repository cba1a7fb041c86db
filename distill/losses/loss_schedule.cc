#include "distill/losses/loss_schedule.h"

#include "absl/strings/str_cat.h"

namespace reflux {

double WeightFactor(LossSchedule schedule, LossKind kind, int64_t step, int64_t total) {
  const double alpha = total > 0 ? static_cast<double>(step) / static_cast<double>(total) : 0;
  switch (schedule) {
    case LossSchedule::kConstant:
      return 1;
    case LossSchedule::kAlw:
      return kind == LossKind::kTask ? 1 : 1 - alpha;
    case LossSchedule::kAlwPublished:
      return kind == LossKind::kResponse ? 1 - alpha : alpha;
  }
  return 1;
}

absl::StatusOr<LossSchedule> ParseLossSchedule(absl::string_view name) {
  if (name == "constant") return LossSchedule::kConstant;
  if (name == "alw") return LossSchedule::kAlw;
  if (name == "alw_published") return LossSchedule::kAlwPublished;
  return absl::InvalidArgumentError(
      absl::StrCat("schedule: '", name, "' is none of constant, alw, alw_published"));
}

}  // namespace reflux
