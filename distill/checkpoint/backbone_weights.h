// Pretrained backbones: ImageNet classifiers, whose stem and stages a student starts from.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

struct BackboneLoad {
  int64_t loaded = 0;                // tensors
  std::vector<std::string> ignored;  // names of the file that the backbone has not: its classifier
};

// Copies the weights of a classifier's file (any format of OpenWeightFile), or the backbone of a
// segmentation network's, into the backbone of `model`: the tensors under "pretrained." or
// "backbone.". InvalidArgument when one of them is missing (num_batches_tracked may be) or has
// another shape; then `model` is unchanged. Does not copy the head.
absl::StatusOr<BackboneLoad> LoadBackboneWeights(const std::string& path, SegmentationModel& model);

}  // namespace reflux
