// What a teacher keeps of a map (common/targets/reduction.h). Thread-safe.
#pragma once

#include <torch/types.h>

#include "absl/status/statusor.h"
#include "common/targets/reduction.h"

namespace reflux {

// The label of a map's sample through the sample's view, for reductions that read it.
struct MapLabel {
  torch::Tensor classes;  // [H,W] int64, on the CPU
  int64_t num_classes = 0;
  int64_t ignore_index = 0;
};

// `map` [C,h,w], floating; the result is on its device. Class sums are added in double and rounded
// once to the map's type; a max-pool is exact. `label` is read only when ReadsLabels(reduction).
// InvalidArgument for a reduction that this build does not know.
absl::StatusOr<torch::Tensor> ReduceMap(const torch::Tensor& map, Reduction reduction,
                                        const MapLabel& label);

}  // namespace reflux
