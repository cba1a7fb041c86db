#include "distill/export/traced_network.h"

#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <utility>

namespace reflux {
namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

// Odd sizes, so that a map's size tells its stride, and no two maps of another origin agree in
// both.
constexpr std::array<int64_t, 2> kFirstSize = {97, 131}, kSecondSize = {161, 195};

std::shared_ptr<Graph> Trace(SegmentationModel& model, const std::array<int64_t, 2>& size) {
  const auto forward = [&](torch::jit::Stack inputs) -> torch::jit::Stack {
    return {model.Forward(inputs.at(0).toTensor(), {}).at("logits")};
  };
  const torch::Tensor image = torch::zeros({1, 3, size[0], size[1]});
  auto traced = torch::jit::tracer::trace(
      {image}, forward, [](const torch::Tensor&) { return std::string(); }, /*strict=*/true,
      /*force_outplace=*/true);
  std::shared_ptr<Graph> graph = traced.first->graph;
  torch::jit::EliminateDeadCode(graph);
  return graph;
}

}  // namespace

std::vector<int64_t> TracedShape(const Value* value) {
  const auto type = value->type()->cast<c10::TensorType>();
  if (!type) return {};
  const auto sizes = type->sizes().concrete_sizes();
  return sizes ? *sizes : std::vector<int64_t>();
}

TracedNetwork TraceNetwork(SegmentationModel& model) {
  model.eval();
  for (torch::Tensor& parameter : model.parameters()) parameter.set_requires_grad(false);
  torch::NoGradGuard no_grad;
  TracedNetwork network{.first = Trace(model, kFirstSize), .second = Trace(model, kSecondSize)};
  auto second = network.second->nodes().begin();
  for (const Node* node : network.first->nodes()) {
    TORCH_CHECK(second != network.second->nodes().end() && second->kind() == node->kind() &&
                    second->inputs().size() == node->inputs().size(),
                "the network runs other operators for images of another size");
    network.nodes.push_back({node, *second});
    ++second;
  }
  return network;
}

}  // namespace reflux
