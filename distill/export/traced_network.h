// The operators that a network's forward runs, traced at two image sizes. Internal to
// distill/export.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "distill/models/segmentation_model.h"

namespace reflux {

// Height and width of a map in the first and in the second trace.
struct MapSizes {
  std::array<int64_t, 2> first, second;
  bool operator==(const MapSizes&) const = default;
};

// The same operator in both traces.
struct TracedNode {
  const torch::jit::Node* first = nullptr;
  const torch::jit::Node* second = nullptr;
};

struct TracedNetwork {
  std::shared_ptr<torch::jit::Graph> first, second;
  // Every operator, in the order of execution.
  std::vector<TracedNode> nodes;
};

// The network's logits, in evaluation mode. Throws c10::Error when the two traces differ in more
// than constants.
TracedNetwork TraceNetwork(SegmentationModel& model);

// Shape of a traced tensor, empty when it is none.
std::vector<int64_t> TracedShape(const torch::jit::Value* value);

}  // namespace reflux
