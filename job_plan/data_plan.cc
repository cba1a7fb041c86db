#include "job_plan/data_plan.h"

#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<Dataset>> OpenTrainSplit(const v1::DataSpec& data) {
  return OpenDataset({.format = data.format(),
                      .root = data.root(),
                      .split = data.train_split(),
                      .max_images = data.max_train_images()});
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenValSplit(const v1::DataSpec& data) {
  return OpenDataset({.format = data.format(),
                      .root = data.root(),
                      .split = data.val_split(),
                      .max_images = data.max_val_images()});
}

absl::StatusOr<ViewPolicy> PlanViews(const v1::JobSpec& spec) {
  const v1::DataSpec& data = spec.data();
  if (data.crop_size() != 2) return absl::InvalidArgumentError("data.crop: needs [height, width]");
  if (data.scale_size() != 2) return absl::InvalidArgumentError("data.scale: needs [low, high]");
  ViewPolicy policy{.crop_height = data.crop(0),
                    .crop_width = data.crop(1),
                    .min_scale = data.scale(0),
                    .max_scale = data.scale(1),
                    .flip = data.flip()};
  REFLUX_RETURN_IF_ERROR(ParseViewPolicy(spec.targets().views(), &policy));
  REFLUX_RETURN_IF_ERROR(policy.Validate());
  return policy;
}

}  // namespace reflux
