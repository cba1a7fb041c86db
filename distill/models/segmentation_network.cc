#include "distill/models/segmentation_network.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

using torch::Tensor;

std::string StageName(size_t stage) { return absl::StrCat("c", stage + 1); }

bool Contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

SegmentationNetwork::SegmentationNetwork(const ModelOptions& options, NetworkParts parts)
    : options_(options), parts_(std::move(parts)) {
  register_module(parts_.backbone_name, parts_.backbone);
  parts_.head->Register(*this);
  if (parts_.auxiliary) register_module(parts_.auxiliary->name, parts_.auxiliary->module);
}

std::vector<TapInfo> SegmentationNetwork::taps() const {
  std::vector<TapInfo> taps;
  const auto stages = parts_.backbone->stages();
  for (size_t i = 0; i < stages.size(); ++i) {
    taps.push_back({StageName(i), stages[i].channels, stages[i].stride});
  }
  for (TapInfo& tap : parts_.head->taps()) taps.push_back(std::move(tap));
  if (parts_.auxiliary) {
    taps.push_back({"aux", options_.num_classes, stages[parts_.auxiliary->stage].stride});
  }
  return taps;
}

std::string SegmentationNetwork::configuration() const {
  return absl::StrCat("output_stride=", options_.output_stride,
                      " norm_epsilon=", options_.norm_epsilon);
}

void SegmentationNetwork::CheckTaps(const std::vector<std::string>& wanted) const {
  std::vector<std::string> known;
  for (const auto& tap : taps()) known.push_back(tap.name);
  for (const auto& name : wanted) {
    TORCH_CHECK(Contains(known, name), architecture(), " has no tap '", name, "'; it has ",
                absl::StrJoin(known, ", "));
  }
}

TapOutputs SegmentationNetwork::Forward(const Tensor& images,
                                        const std::vector<std::string>& wanted) {
  CheckTaps(wanted);
  const StageMaps stages = parts_.backbone->Forward(images);
  TapOutputs outputs;
  for (auto& [name, map] : parts_.head->Forward(stages)) {
    if (name == "logits" || Contains(wanted, name)) outputs[name] = map;
  }
  for (size_t i = 0; i < stages.size(); ++i) {
    if (Contains(wanted, StageName(i))) outputs[StageName(i)] = stages[i];
  }
  if (parts_.auxiliary && (is_training() || Contains(wanted, "aux"))) {
    ClassifierBlock& block = parts_.auxiliary->block;
    outputs["aux"] = block.Classify(block.Features(stages[parts_.auxiliary->stage]));
  }
  return outputs;
}

}  // namespace reflux
