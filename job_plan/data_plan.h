// From the job file's `data` and `targets` to data sets and views. Torch-free.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "distill/data/dataset.h"
#include "distill/data/view.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<Dataset>> OpenTrainSplit(const v1::DataSpec& data);
absl::StatusOr<std::unique_ptr<Dataset>> OpenValSplit(const v1::DataSpec& data);

absl::StatusOr<ViewPolicy> PlanViews(const v1::JobSpec& spec);

}  // namespace reflux
