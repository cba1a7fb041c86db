#include "distill/checkpoint/backbone_weights.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/weight_file.h"

namespace reflux {
namespace {

// How the names of our backbones begin, and how a classifier's file begins the same ones.
struct Begin {
  const char *ours, *theirs;
};
constexpr std::array<Begin, 5> kBegins = {{{"pretrained.", ""},
                                           {"pretrained.net.", ""},
                                           {"backbone.", ""},
                                           {"backbone.", "features."},
                                           {"", ""}}};

NamedTensors BackboneState(const SegmentationModel& model) {
  NamedTensors state;
  const auto add = [&](const std::string& name, const torch::Tensor& tensor) {
    if (absl::StartsWith(name, "pretrained.") || absl::StartsWith(name, "backbone.")) {
      state[name] = tensor;
    }
  };
  for (const auto& item : model.named_parameters()) add(item.key(), item.value());
  for (const auto& item : model.named_buffers()) add(item.key(), item.value());
  return state;
}

// Our name -> the file's, for the names that both have.
using Pairs = std::map<std::string, std::string>;

Pairs Match(const NamedTensors& state, const WeightFile& file, const Begin& begin) {
  Pairs pairs;
  for (const auto& [name, tensor] : state) {
    if (!absl::StartsWith(name, begin.ours)) continue;
    std::string theirs =
        absl::StrCat(begin.theirs, name.substr(absl::string_view(begin.ours).size()));
    if (file.Contains(theirs)) pairs[name] = std::move(theirs);
  }
  return pairs;
}

Pairs BestMatch(const NamedTensors& state, const WeightFile& file) {
  Pairs best;
  for (const Begin& begin : kBegins) {
    Pairs pairs = Match(state, file, begin);
    if (pairs.size() > best.size()) best = std::move(pairs);
  }
  return best;
}

absl::Status Check(const WeightFile& file, const NamedTensors& state, const Pairs& pairs) {
  std::vector<std::string> wrong;
  for (const auto& [name, tensor] : state) {
    const auto pair = pairs.find(name);
    if (pair == pairs.end()) {
      if (!absl::EndsWith(name, "num_batches_tracked")) wrong.push_back(name + " (missing)");
    } else if (tensor.sizes() != torch::IntArrayRef(file.entries().at(pair->second).shape)) {
      wrong.push_back(name + " (another shape)");
    }
  }
  if (wrong.empty()) return absl::OkStatus();
  const size_t shown = std::min<size_t>(wrong.size(), 5);
  return absl::InvalidArgumentError(absl::StrCat(
      file.path(), ": not the backbone of this network: ", wrong.size(), " of ", state.size(),
      " tensors do not fit: ", absl::StrJoin(wrong.begin(), wrong.begin() + shown, ", "),
      wrong.size() > shown ? ", ..." : "", "; `reflux inspect --names` lists the file's"));
}

}  // namespace

absl::StatusOr<BackboneLoad> LoadBackboneWeights(const std::string& path,
                                                 SegmentationModel& model) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<WeightFile> file, OpenWeightFile(path));
  const NamedTensors state = BackboneState(model);
  const Pairs pairs = BestMatch(state, *file);
  REFLUX_RETURN_IF_ERROR(Check(*file, state, pairs));
  BackboneLoad load;
  std::map<std::string, torch::Tensor> values;  // read before any is copied
  for (const auto& [ours, theirs] : pairs) {
    REFLUX_ASSIGN_OR_RETURN(values[theirs], file->Load(theirs));
  }
  torch::NoGradGuard no_grad;
  for (const auto& [ours, theirs] : pairs) {
    torch::Tensor target = state.at(ours);
    target.copy_(values.at(theirs));
    ++load.loaded;
  }
  for (const auto& [name, entry] : file->entries()) {
    if (values.count(name) == 0) load.ignored.push_back(name);
  }
  return load;
}

}  // namespace reflux
