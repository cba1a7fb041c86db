#include "distill/models/model_cost.h"

#include <torch/csrc/autograd/functions/accumulate_grad.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace reflux {
namespace {

using torch::autograd::AccumulateGrad;
using torch::autograd::Node;

// Side of the smaller probe in pixels: every stride divides it, also of maps below the taps.
int64_t ProbeSide(const SegmentationModel& model) {
  int64_t coarsest = 8;
  for (const TapInfo& tap : model.taps()) coarsest = std::max(coarsest, tap.stride);
  return 4 * coarsest;
}

// Of a weight that a forward convolves with: the side of the square map that comes out.
using OutputSides = std::map<c10::TensorImpl*, int64_t>;

// Notes the weight and the output's side of a convolution; other nodes are passed over.
void Note(Node& node, OutputSides& sides) {
  if (node.name() != "ConvolutionBackward0") return;
  const auto* leaf = dynamic_cast<const AccumulateGrad*>(node.next_edge(1).function.get());
  TORCH_CHECK(leaf != nullptr, "a convolution's weight is not a parameter that trains");
  const auto shape = node.input_metadata(0).shape_as_dim_vector();
  sides[leaf->variable.unsafeGetTensorImpl()] = shape[2].expect_int();
}

// The convolutions between an image of side x side and the logits, read from the graph that their
// backward would walk.
OutputSides Probe(SegmentationModel& model, int64_t side) {
  const torch::AutoGradMode with_graph(true);
  const torch::Tensor images =
      torch::zeros({1, 3, side, side}, model.parameters().front().options().requires_grad(false));
  const torch::Tensor logits = model.Forward(images, {}).at("logits");
  OutputSides sides;
  std::set<Node*> seen;
  std::vector<Node*> open = {logits.grad_fn().get()};
  while (!open.empty()) {
    Node* const node = open.back();
    open.pop_back();
    if (node == nullptr || !seen.insert(node).second) continue;
    Note(*node, sides);
    for (const auto& edge : node->next_edges()) open.push_back(edge.function.get());
  }
  return sides;
}

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

ModelCost MeasureCost(SegmentationModel& model, int64_t height, int64_t width) {
  TORCH_CHECK(height >= 16 && width >= 16, "image of ", height, "x", width,
              ": must be 16 pixels or more");
  model.eval();
  ModelCost cost;
  for (const auto& parameter : model.parameters()) cost.parameters += parameter.numel();
  const int64_t probe = ProbeSide(model);
  const OutputSides small = Probe(model, probe), large = Probe(model, 2 * probe);
  for (const auto& [weight, side] : small) {
    // A map that does not grow with the image is one of pooled bins.
    const bool fixed = side == large.at(weight);
    const int64_t stride = probe / side;
    const int64_t positions =
        fixed ? side * side : CeilDivide(height, stride) * CeilDivide(width, stride);
    cost.multiply_adds += weight->numel() * positions;
  }
  return cost;
}

}  // namespace reflux
