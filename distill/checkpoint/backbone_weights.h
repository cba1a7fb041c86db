// Pretrained backbones: ImageNet classifiers, whose stem and stages a student starts from.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

struct BackboneLoad {
  int64_t loaded = 0;                // tensors
  std::vector<std::string> ignored;  // names of the file that the backbone has not: its classifier
  std::vector<std::string> kept;     // children of the network that the file says nothing about
  Digest digest;                     // of our names, the shapes and values that were taken

  // "122 tensors taken; not taken: fc.weight, fc.bias; as drawn: auxlayer, head".
  std::string ToString() const;
};

// Copies the weights of a classifier's file (any format of OpenWeightFile), or the backbone of a
// segmentation network's, into the backbone of `model`: the tensors under "pretrained." or
// "backbone.". Read are the names of CIRKD, mmsegmentation and torchvision, whose MobileNetV2 nests
// its blocks otherwise. InvalidArgument when a tensor is missing (num_batches_tracked may be) or
// has another shape, as with another stem, or when the network is no composition of backbone and
// head; then `model` is unchanged. Does not copy the head.
absl::StatusOr<BackboneLoad> LoadBackboneWeights(const std::string& path, SegmentationModel& model);

}  // namespace reflux
