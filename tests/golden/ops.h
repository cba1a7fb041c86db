// What a golden case holds and what an op answers. To add ops: write ops_<part>.cc with a function
// `void Add<Part>Ops(GoldenOps& ops)`, declare it below and call it in golden_test.cc.
//
// An op computes; the framework (compare.cc) takes gradients, reduces, slices and compares as the
// case's `expect` prescribes. Nothing may be assumed of shapes, numbers, salt or case names.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/tensors/safetensors.h"

namespace reflux::golden {

// The value; throws its error, which fails the test.
template <typename T>
T OrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::runtime_error(value.status().ToString());
  return *std::move(value);
}

using nlohmann::json;

// One case of one file. Accessors throw std::runtime_error, which fails the test.
struct GoldenCase {
  std::string folder, file, salt;
  json tolerance;  // of the file
  std::string name, op, precision;
  json params, inputs, weights, expect;
  std::shared_ptr<const SafetensorsFile> tensors;

  // params[key]; a missing key is an error. For "null: not used" ask params.at(key).is_null().
  template <typename T>
  T Param(const std::string& key) const {
    return params.at(key).get<T>();
  }
  bool HasInput(const std::string& logical) const { return inputs.contains(logical); }
  // Stored or filled. Floating inputs are converted to `dtype`, integer ones left as they are.
  torch::Tensor Input(const std::string& logical, torch::Dtype dtype = torch::kFloat64) const;
  // A weight by its state_dict key, stored or (key "*", or "<group>/*") filled with `shape`.
  torch::Tensor Weight(const std::string& key, const std::vector<int64_t>& shape,
                       torch::Dtype dtype = torch::kFloat64, const std::string& group = "") const;
  // Moves `module` (already of the dtype wanted) to the device of the inputs and sets every
  // parameter and buffer from the weights.
  void LoadWeights(torch::nn::Module& module, const std::string& group = "") const;
  torch::Tensor Stored(const std::string& tensor) const;
};

// What an op computed. Only what the case expects is looked at.
struct GoldenOutcome {
  // By logical name of `expect`, or by its `output` where given. Losses as scalars (or 1-D for
  // several), attached to the graph: gradients of kind {"of", "loss"} are taken by the framework.
  // A gradient that the op computed itself goes here too, whole, under its logical name.
  std::map<std::string, torch::Tensor> outputs;
  // Leaves by the logical name of the input or the weight's key, for gradients "of" them.
  std::map<std::string, torch::Tensor> leaves;
  // state_dict entries at the end (`state`).
  std::map<std::string, torch::Tensor> state;
  // Lines "name<TAB>[shape]<TAB>dtype" for kind `keys`, by logical name; order does not matter.
  std::map<std::string, std::vector<std::string>> keys;
  // True when computed in double: decides the tolerances of cases with precision float64.
  bool computed_in_double = true;

  // Makes `tensor` a leaf that requires grad, registers and returns it.
  torch::Tensor AddLeaf(const std::string& logical, const torch::Tensor& tensor) {
    return leaves[logical] = tensor.detach().clone().requires_grad_();
  }
};

struct GoldenOp {
  std::function<GoldenOutcome(const GoldenCase&)> compute;
  // Optional: why this case is not covered ("model X"), or empty. Such a case is listed, not run.
  std::function<std::string(const GoldenCase&)> not_covered = nullptr;
};
using GoldenOps = std::map<std::string, GoldenOp>;

// Where the ops compute: the CPU, or what REFLUX_GOLDEN_DEVICE names.
const torch::Device& GoldenDevice();

// All cases of a folder, files in name order. Throws when the folder or a file cannot be read.
std::vector<GoldenCase> ReadCases(const std::string& folder);

// Fails the running GoogleTest case for every expectation that `outcome` does not meet.
void Compare(const GoldenCase& golden, const GoldenOutcome& outcome);

void AddAfdcdOps(GoldenOps& ops);
void AddFeatureOps(GoldenOps& ops);
void AddFillOps(GoldenOps& ops);
void AddFrskdModelOps(GoldenOps& ops);
void AddFrskdOps(GoldenOps& ops);
void AddLossOps(GoldenOps& ops);
void AddMetricOps(GoldenOps& ops);
void AddModelOps(GoldenOps& ops);

// Whether the case's `model` is one of FRSKD's networks, and that network.
bool IsFrskdNetwork(const GoldenCase& golden);
std::shared_ptr<torch::nn::Module> BuildFrskdNetwork(const GoldenCase& golden);

}  // namespace reflux::golden
