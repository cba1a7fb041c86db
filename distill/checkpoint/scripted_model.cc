#include "distill/checkpoint/scripted_model.h"

#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "distill/checkpoint/checkpoint_info.h"
#include "distill/models/placement.h"

namespace reflux {
namespace {

using torch::Tensor;

constexpr int64_t kProbe = 64;  // pixels
constexpr int kMaxCalls = 100;  // nested; calls that are still there belong to compiled classes

// Gives `target` the parameters and buffers of `source`, not copies of them, under their names. A
// tensor that stands in several places is taken once.
void Mirror(const torch::jit::Module& source, torch::nn::Module& target,
            std::set<const c10::TensorImpl*>& seen) {
  for (const auto& item : source.named_parameters(/*recurse=*/false)) {
    if (!seen.insert(item.value.unsafeGetTensorImpl()).second) continue;
    target.register_parameter(item.name, item.value, item.value.requires_grad());
  }
  for (const auto& item : source.named_buffers(/*recurse=*/false)) {
    if (seen.insert(item.value.unsafeGetTensorImpl()).second)
      target.register_buffer(item.name, item.value);
  }
  for (const auto& item : source.named_children()) {
    const auto child = target.register_module(item.name, std::make_shared<torch::nn::Module>());
    Mirror(item.value, *child, seen);
  }
}

void Add(const std::string& name, const c10::IValue& value, TapOutputs& outputs) {
  if (value.isTensor() && value.toTensor().dim() == 4) outputs[name] = value.toTensor();
}

// The names of a tuple's elements: those of a named tuple, or logits, output1, ...
std::vector<std::string> ElementNames(const c10::IValue& tuple, size_t count) {
  std::vector<std::string> names;
  if (tuple.isTuple()) {
    const auto type = tuple.type()->cast<c10::TupleType>();
    if (type != nullptr && type->schema() != nullptr) {
      for (const auto& argument : type->schema()->arguments()) names.push_back(argument.name());
    }
  }
  for (size_t i = names.size(); i < count; ++i) {
    names.push_back(i == 0 ? "logits" : absl::StrCat("output", i));
  }
  return names;
}

TapOutputs ToTaps(const c10::IValue& value) {
  TapOutputs outputs;
  if (value.isGenericDict()) {
    for (const auto& item : value.toGenericDict()) {
      if (item.key().isString()) Add(item.key().toStringRef(), item.value(), outputs);
    }
  } else if (value.isTuple() || value.isList()) {
    const auto elements =
        value.isTuple() ? value.toTupleRef().elements().vec() : value.toListRef().vec();
    const std::vector<std::string> names = ElementNames(value, elements.size());
    for (size_t i = 0; i < elements.size(); ++i) Add(names[i], elements[i], outputs);
  } else {
    Add("logits", value, outputs);
  }
  if (outputs.count("logits") == 0 && outputs.count("out") > 0) {
    auto node = outputs.extract("out");
    node.key() = "logits";
    outputs.insert(std::move(node));
  }
  return outputs;
}

std::string Names(const TapOutputs& outputs) {
  std::vector<std::string> names;
  for (const auto& [name, map] : outputs) names.push_back(name);
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

void FindRandom(const torch::jit::Block& block, std::set<std::string>& found) {
  static constexpr std::array<const char*, 8> kRandom = {
      "aten::dropout", "aten::feature_dropout", "aten::alpha_dropout", "aten::bernoulli",
      "aten::rand",    "aten::rand_like",       "aten::randn",         "aten::randn_like"};
  for (const torch::jit::Node* node : block.nodes()) {
    const std::string kind = node->kind().toQualString();
    if (std::find(kRandom.begin(), kRandom.end(), kind) != kRandom.end()) found.insert(kind);
    for (const torch::jit::Block* inner : node->blocks()) FindRandom(*inner, found);
  }
}

bool HasCalls(const torch::jit::Block& block) {
  for (const torch::jit::Node* node : block.nodes()) {
    if (node->kind() == torch::jit::prim::CallFunction ||
        node->kind() == torch::jit::prim::CallMethod) {
      return true;
    }
    for (const torch::jit::Block* inner : node->blocks()) {
      if (HasCalls(*inner)) return true;
    }
  }
  return false;
}

constexpr char kPreprocessing[] = "preprocessing";  // where LoadScriptedModel finds it

}  // namespace

ScriptedModel::ScriptedModel(torch::jit::Module module, std::string code_digest)
    : module_(std::move(module)), code_digest_(std::move(code_digest)) {
  std::set<const c10::TensorImpl*> seen;
  Mirror(module_, *this, seen);
  for (const auto& item : named_modules("", /*include_self=*/false)) {
    if (item.value()->named_buffers(/*recurse=*/false).contains("running_mean"))
      norms_.push_back(item.key());
  }
  eval();
  PlaceModule(*this, torch::kCPU, torch::kFloat32,
              /*channels_last=*/false);  // it may be saved in half
  LearnTaps();
}

void ScriptedModel::train(bool on) {
  SegmentationModel::train(on);
  module_.train(on);
}

// What TorchScript throws is not always a c10::Error.
TapOutputs ScriptedModel::Run(const Tensor& images) {
  const torch::jit::GraphOptimizerEnabledGuard plain(false);
  try {
    return ToTaps(module_.forward({images}));
  } catch (const c10::Error&) {
    throw;
  } catch (const std::exception& error) {
    C10_THROW_ERROR(Error, c10::str("the TorchScript module: ", error.what()));
  }
}

TapOutputs ScriptedModel::Forward(const Tensor& images, const std::vector<std::string>& wanted) {
  TapOutputs outputs = Run(images);
  for (const std::string& name : wanted) {
    TORCH_CHECK(outputs.count(name) > 0, "the TorchScript module has no output '", name,
                "'; it has ", Names(outputs),
                " (module paths cannot be tapped: return the map from forward)");
  }
  return outputs;
}

void ScriptedModel::LearnTaps() {
  const torch::NoGradGuard no_gradients;
  const TapOutputs outputs = Run(torch::zeros({1, 3, kProbe, kProbe}));
  const TapOutputs wider = Run(torch::zeros({1, 3, kProbe, 2 * kProbe}));
  TORCH_CHECK(
      outputs.count("logits") > 0,
      "the TorchScript module gives no logits: forward must "
      "return a tensor [N,classes,h,w], a tuple that begins with it, or a dict with `logits` "
      "or `out`; its outputs of four dimensions: ",
      Names(outputs));
  for (const auto& [name, map] : outputs) {
    const auto other = wider.find(name);
    TORCH_CHECK(other != wider.end() && other->second.size(3) == 2 * map.size(3) &&
                    other->second.size(2) == map.size(2),
                "the TorchScript module's output '", name,
                "' does not follow the image's size: script the network instead of tracing it");
    if (name == "logits") logits_ = taps_.size();
    taps_.push_back({name, map.size(1), std::max<int64_t>(1, kProbe / map.size(2))});
  }
}

std::vector<std::string> ScriptedModel::random_operators() const {
  const auto graph = module_.get_method("forward").graph()->copy();
  // A function that has run without the optimiser comes with its own calls, so one pass is one
  // level.
  for (int level = 0; level < kMaxCalls && HasCalls(*graph->block()); ++level) {
    torch::jit::Inline(*graph);
  }
  std::set<std::string> found;
  FindRandom(*graph->block(), found);
  return {found.begin(), found.end()};
}

absl::Status ScriptedModel::Save(const std::string& path,
                                 const Preprocessing& preprocessing) const {
  try {
    module_.save(path, {{kPreprocessing, EncodePreprocessing(preprocessing)}});
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return absl::PermissionDeniedError(absl::StrCat("cannot write ", path, ": ", error.what()));
  }
}

}  // namespace reflux
