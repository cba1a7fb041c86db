#include "distill/losses/loss_schedule.h"

#include <cmath>
#include <numbers>

#include "common/base/choose.h"

namespace reflux {

double WeightFactor(LossSchedule schedule, LossKind kind, int64_t step, int64_t total) {
  const double alpha = total > 0 ? static_cast<double>(step) / static_cast<double>(total) : 0;
  switch (schedule) {
    case LossSchedule::kConstant:
      return 1;
    case LossSchedule::kLinear:
      return 1 - alpha;
    case LossSchedule::kCosine:
      return (1 + std::cos(std::numbers::pi * alpha)) / 2;
    case LossSchedule::kStep:
      return alpha < 0.5 ? 1 : alpha < 0.75 ? 0.1 : 0.01;
    case LossSchedule::kAlw:
      return kind == LossKind::kTask ? 1 : 1 - alpha;
    case LossSchedule::kAlwPublished:
      return kind == LossKind::kResponse ? 1 - alpha : alpha;
  }
  return 1;
}

absl::StatusOr<LossSchedule> ParseLossSchedule(absl::string_view name) {
  using S = LossSchedule;
  return Choose<S>("schedule", name,
                   {{"constant", S::kConstant},
                    {"linear", S::kLinear},
                    {"cosine", S::kCosine},
                    {"step", S::kStep},
                    {"alw", S::kAlw},
                    {"alw_published", S::kAlwPublished}});
}

}  // namespace reflux
