// From the job file's `data` and `targets` to data sets and views. Torch-free.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "distill/data/dataset.h"
#include "distill/data/label_file.h"
#include "distill/data/mixing.h"
#include "distill/data/view.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// The splits that the job trains (with unlabelled images, if it has some) and evaluates on.
DatasetOptions PlanTrainSplit(const v1::DataSpec& data);
DatasetOptions PlanValSplit(const v1::DataSpec& data);

// The folder that the locators of its images are relative to.
std::string DataRoot(const v1::DataSpec& data);

absl::StatusOr<std::unique_ptr<Dataset>> OpenTrainSplit(const v1::DataSpec& data);
absl::StatusOr<std::unique_ptr<Dataset>> OpenValSplit(const v1::DataSpec& data);

// That of a student which brings none of its own.
Preprocessing PlanPreprocessing(const v1::DataSpec& data);

absl::StatusOr<MixOptions> PlanMix(const v1::TrainSpec& train);

// Reads the labels of both splits, for a teacher and for those who ask one.
ReadLabelFn PlanLabelReader(const v1::DataSpec& data);

absl::StatusOr<ViewPolicy> PlanViews(const v1::JobSpec& spec);

}  // namespace reflux
