// The table of networks: what each architecture's name means, and how a file of weights shows which
// one it holds. To add one: a backbone or head behind its seam, and a line in architectures.cc.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "distill/models/model_options.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

struct Architecture {
  std::string name;
  int64_t aspp_width = 0;               // default
  std::vector<int64_t> output_strides;  // allowed; the default first
  // State_dict entries whose first size is the number of classes, the width of the head and the
  // number of classes of the auxiliary head; the last is empty when there is none.
  std::string classifier, width, auxiliary;
  // A file holds this network when it has all of `present` and none of `absent`.
  std::vector<std::string> present, absent;
  // Of resolved options.
  std::function<std::shared_ptr<SegmentationModel>(const ModelOptions&)> build;
};

// Sorted by name. Thread-safe.
const std::vector<Architecture>& Architectures();
// Null for an unknown name.
const Architecture* FindArchitecture(absl::string_view name);
// The architecture of a file of weights that `contains` a tensor of a name or not; null: none.
const Architecture* RecogniseArchitecture(const std::function<bool(const std::string&)>& contains);

}  // namespace reflux
