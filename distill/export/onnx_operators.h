// LibTorch's operators as ONNX's. Internal to distill/export.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "distill/export/onnx_graph.h"
#include "distill/export/traced_network.h"

namespace reflux {

// Translates a traced network. Every method throws c10::Error for what has no translation.
class OnnxTranslator {
 public:
  // `weights`: names of tensors by the address of their values; others get a number.
  OnnxTranslator(OnnxGraph& graph, std::map<const void*, std::string> weights)
      : graph_(graph), weights_(std::move(weights)) {}

  // Returns the name of the logits; the image is `input`.
  std::string Translate(const TracedNetwork& network, const std::string& input);

 private:
  using Translation = void (OnnxTranslator::*)(const TracedNode&);
  static const std::map<std::string, Translation>& Translations();

  void Convolution(const TracedNode& traced);
  void BatchNorm(const TracedNode& traced);
  void Activation(const TracedNode& traced);
  void Dropout(const TracedNode& traced);
  void HardSigmoid(const TracedNode& traced);
  void Silu(const TracedNode& traced);
  void Clip(const TracedNode& traced);
  void Relu6(const TracedNode& traced);
  void Add(const TracedNode& traced);
  void Multiply(const TracedNode& traced);
  void Concatenate(const TracedNode& traced);
  void MaxPool(const TracedNode& traced);
  void AdaptiveAveragePool(const TracedNode& traced);
  void UpsampleBilinear(const TracedNode& traced);
  void UpsampleNearest(const TracedNode& traced);
  void Pad(const TracedNode& traced);
  void Expand(const TracedNode& traced);
  void Mean(const TracedNode& traced);
  void Linear(const TracedNode& traced);
  void AddProduct(const TracedNode& traced);
  void Transpose(const TracedNode& traced);
  void Unsqueeze(const TracedNode& traced);

  // The ONNX name of a traced tensor; constants become initializers. Empty for None.
  std::string Name(const torch::jit::Value* value);
  void Set(const TracedNode& traced, const std::string& name);
  // [2] int64: the height and width that maps of these sizes have, computed from one of them.
  std::string HeightAndWidth(const MapSizes& sizes);
  std::string ResizedSizes(const TracedNode& traced, const std::string& map);
  // [bins, size]: a product with it pools adaptively, as torch does, along `axis` (2 or 3) of
  // `map`.
  std::string PoolingMatrix(const std::string& map, int64_t axis, int64_t bins);

  struct Map {
    MapSizes sizes;
    std::string name;
  };
  OnnxGraph& graph_;
  std::map<const void*, std::string> weights_;
  std::map<const torch::jit::Value*, std::string> names_;
  std::vector<Map> maps_;  // in the order of execution
};

}  // namespace reflux
