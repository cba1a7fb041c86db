// Part of a request as rectangular requests: those of its (sample, spec) pairs that are missing.
#pragma once

#include <cstddef>
#include <vector>

#include "common/targets/target.h"

namespace reflux {

// A (sample, spec) pair of a request.
struct TargetIndex {
  size_t sample = 0;
  size_t spec = 0;
};

struct SpecGroup {
  TargetRequest request;
  // Place in the list of chosen pairs of the (sample, spec) of `request`.
  std::vector<std::vector<size_t>> places;
};

// One request for each different set of specs among `chosen`, which holds no pair twice. Images are
// shared, not copied. Samples keep their order.
std::vector<SpecGroup> GroupBySpecs(const TargetRequest& request,
                                    const std::vector<TargetIndex>& chosen);

}  // namespace reflux
