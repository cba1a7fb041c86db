#include "job_plan/loss_term.h"

#include <algorithm>

namespace reflux {

absl::StatusOr<LossTerm> Term(std::string name, std::shared_ptr<Loss> loss, double weight,
                              const std::string& schedule, LossKind kind) {
  if (!(weight >= 0))
    return absl::InvalidArgumentError(absl::StrCat("losses.", name, ".weight: is negative"));
  absl::StatusOr<LossSchedule> parsed = ParseLossSchedule(schedule);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("losses.", name, ".", parsed.status().message()));
  }
  return LossTerm{.name = std::move(name),
                  .loss = std::move(loss),
                  .weight = weight,
                  .schedule = *parsed,
                  .kind = kind};
}

bool HasTap(const SegmentationModel& model, const std::string& name) {
  const std::vector<TapInfo> taps = model.taps();
  return std::any_of(taps.begin(), taps.end(),
                     [&](const TapInfo& tap) { return tap.name == name; });
}

}  // namespace reflux
