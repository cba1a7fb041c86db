#include "job_plan/data_plan.h"

#include "common/base/status_macros.h"
#include "distill/data/cifar.h"

namespace reflux {

namespace {

DatasetOptions PlanDataset(const v1::DataSpec& data, const std::string& split) {
  DatasetOptions options{.format = data.format(),
                         .root = data.root(),
                         .split = split,
                         .images = data.images(),
                         .labels = data.labels(),
                         .classes = {data.classes().begin(), data.classes().end()},
                         .label_map = {data.label_map().begin(), data.label_map().end()},
                         .splits = {data.splits().begin(), data.splits().end()},
                         .unlabelled = data.unlabelled()};
  if (data.has_ignore()) options.ignore = data.ignore();
  return options;
}

}  // namespace

DatasetOptions PlanTrainSplit(const v1::DataSpec& data) {
  DatasetOptions options = PlanDataset(data, data.train_split());
  options.max_images = data.max_train_images();
  options.with_unlabelled = true;
  return options;
}

DatasetOptions PlanValSplit(const v1::DataSpec& data) {
  DatasetOptions options = PlanDataset(data, data.val_split());
  options.max_images = data.max_val_images();
  return options;
}

std::string DataRoot(const v1::DataSpec& data) { return DataRoot(PlanTrainSplit(data)); }

absl::StatusOr<std::unique_ptr<Dataset>> OpenTrainSplit(const v1::DataSpec& data) {
  return OpenDataset(PlanTrainSplit(data));
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenValSplit(const v1::DataSpec& data) {
  return OpenDataset(PlanValSplit(data));
}

Preprocessing PlanPreprocessing(const v1::DataSpec& data) {
  return IsCifar(data.format()) ? CifarPreprocessing() : Preprocessing{};
}

absl::StatusOr<MixOptions> PlanMix(const v1::TrainSpec& train) {
  MixOptions options{.alpha = train.mix_alpha()};
  REFLUX_ASSIGN_OR_RETURN(options.kind, ParseMix(train.mix()));
  return options;
}

ReadLabelFn PlanLabelReader(const v1::DataSpec& data) {
  return LabelReader({PlanTrainSplit(data), PlanValSplit(data)});
}

absl::StatusOr<ViewPolicy> PlanViews(const v1::JobSpec& spec) {
  const v1::DataSpec& data = spec.data();
  if (data.crop_size() != 2) return absl::InvalidArgumentError("data.crop: needs [height, width]");
  if (data.scale_size() != 2) return absl::InvalidArgumentError("data.scale: needs [low, high]");
  ViewPolicy policy{.crop_height = data.crop(0),
                    .crop_width = data.crop(1),
                    .min_scale = data.scale(0),
                    .max_scale = data.scale(1),
                    .flip = data.flip(),
                    .padding = data.padding(),
                    .decode_shrink = data.scaled_decode() ? ShrinkFor(data.scale(1)) : 1};
  REFLUX_RETURN_IF_ERROR(ParseViewPolicy(spec.targets().views(), &policy));
  REFLUX_RETURN_IF_ERROR(policy.Validate());
  return policy;
}

}  // namespace reflux
