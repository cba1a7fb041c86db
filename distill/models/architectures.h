// The table of networks: what each architecture's name means, and how a file of weights shows which
// one it holds. To add one: a backbone or head behind its seam, and a line in architectures.cc.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "distill/models/model_options.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

struct Architecture {
  std::string name;
  int64_t aspp_width = 0;               // default; 0: it has none (a classifier)
  std::vector<int64_t> output_strides;  // allowed; the default first; a classifier has 0 alone
  // State_dict entries whose first size is the number of classes, the width of the head and the
  // number of classes of the auxiliary head; the last is empty when there is none.
  std::string classifier, width, auxiliary;
  // A file holds this network when it has all of `present` and none of `absent`: names of tensors,
  // or names and shapes, "conv1.weight [64, 3, 3, 3]".
  std::vector<std::string> present, absent;
  // Of resolved options.
  std::function<std::shared_ptr<SegmentationModel>(const ModelOptions&)> build;
};

// Sorted by name. Thread-safe.
const std::vector<Architecture>& Architectures();
// Null for an unknown name.
const Architecture* FindArchitecture(absl::string_view name);
// The shape of a tensor of a file of weights, by its name; nothing when it has none.
using ShapeOfFn = std::function<std::optional<std::vector<int64_t>>(const std::string&)>;
// The architecture of a file of weights; null: none.
const Architecture* RecogniseArchitecture(const ShapeOfFn& shape_of);

}  // namespace reflux
