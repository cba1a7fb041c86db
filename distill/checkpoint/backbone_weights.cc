#include "distill/checkpoint/backbone_weights.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
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

bool IsBackbone(const std::string& name) {
  return absl::StartsWith(name, "pretrained.") || absl::StartsWith(name, "backbone.");
}

NamedTensors State(const SegmentationModel& model) {
  NamedTensors state;
  for (const auto& item : model.named_parameters()) state[item.key()] = item.value();
  for (const auto& item : model.named_buffers()) state[item.key()] = item.value();
  return state;
}

// "features.4.conv.3.weight" as torchvision's MobileNetV2 has it, where a convolution and the norm
// behind it are a block of their own: "features.4.conv.1.0.weight". Other names stay.
std::string NestedMobileNetName(const std::string& name) {
  std::vector<std::string> parts = absl::StrSplit(name, '.');
  int block = 0, index = 0;
  if (parts.size() != 5 || parts[0] != "features" || parts[2] != "conv" ||
      !absl::SimpleAtoi(parts[1], &block) || !absl::SimpleAtoi(parts[3], &index)) {
    return name;
  }
  // The first block has no expansion: two convolutions, not three.
  const int nested = block == 1 ? 1 : 2;
  const int group = index / 3, place = index % 3;
  parts[3] = group < nested ? absl::StrCat(group, ".", place) : absl::StrCat(nested + place);
  return absl::StrJoin(parts, ".");
}

// Our name -> the file's, for the names that both have.
using Pairs = std::map<std::string, std::string>;

// `nested`: the file has torchvision's MobileNetV2, where "conv.1" is another convolution than in
// flat blocks. So a file is read one way or the other, never name by name.
Pairs Match(const NamedTensors& state, const WeightFile& file, const Begin& begin, bool nested) {
  Pairs pairs;
  for (const auto& [name, tensor] : state) {
    if (!absl::StartsWith(name, begin.ours)) continue;
    const std::string rest = name.substr(absl::string_view(begin.ours).size());
    const std::string theirs =
        absl::StrCat(begin.theirs, nested ? NestedMobileNetName(rest) : rest);
    if (file.Contains(theirs)) pairs.emplace(name, theirs);
  }
  return pairs;
}

Pairs BestMatch(const NamedTensors& state, const WeightFile& file) {
  Pairs best;
  for (const Begin& begin : kBegins) {
    for (const bool nested : {false, true}) {
      Pairs pairs = Match(state, file, begin, nested);
      if (pairs.size() > best.size()) best = std::move(pairs);
    }
  }
  return best;
}

std::string Shape(torch::IntArrayRef shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

// A ResNet's file that has another stem than the network: the commonest mistake.
std::string StemHint(const WeightFile& file, const NamedTensors& state) {
  std::string stem;
  const auto first = file.entries().find("conv1.weight");
  if (file.Contains("stem.0.weight")) {
    stem = "the stem of mmsegmentation's ResNetV1c, as mmseg_* have";
  } else if (first != file.entries().end() && first->second.shape.size() == 4) {
    stem = first->second.shape[2] == 7
               ? "a 7x7 stem, as deeplabv3plus_* and torchvision_* have"
               : "the stem of three convolutions that CIRKD's deeplabv3_* and psp_* have";
  }
  const bool resnet = state.count("pretrained.layer4.0.conv1.weight") > 0 ||
                      state.count("backbone.layer4.0.conv1.weight") > 0;
  return stem.empty() || !resnet ? "" : absl::StrCat("; the file is a ResNet with ", stem);
}

absl::Status Check(const WeightFile& file, const NamedTensors& state, const Pairs& pairs) {
  std::vector<std::string> wrong, missing;
  for (const auto& [name, tensor] : state) {
    const auto pair = pairs.find(name);
    if (pair == pairs.end()) {
      if (!absl::EndsWith(name, "num_batches_tracked")) missing.push_back(name + " (missing)");
      continue;
    }
    const torch::IntArrayRef theirs(file.entries().at(pair->second).shape);
    if (tensor.sizes() == theirs) continue;
    wrong.push_back(absl::StrCat(name, " (", Shape(theirs), ", not ", Shape(tensor.sizes()), ")"));
  }
  wrong.insert(wrong.end(), missing.begin(), missing.end());
  if (wrong.empty()) return absl::OkStatus();
  const size_t shown = std::min<size_t>(wrong.size(), 5);
  return absl::InvalidArgumentError(absl::StrCat(
      file.path(), ": not the backbone of this network: ", wrong.size(), " of ", state.size(),
      " tensors do not fit: ", absl::StrJoin(wrong.begin(), wrong.begin() + shown, ", "),
      wrong.size() > shown ? ", ..." : "", StemHint(file, state),
      "; `reflux inspect --names` lists the file's"));
}

void Hash(const std::string& name, const torch::Tensor& value, Sha256& hash) {
  const torch::Tensor bytes = value.detach().to(torch::kCPU).contiguous();
  hash.Update(absl::StrCat(name, " ", torch::toString(bytes.scalar_type()), " ",
                           Shape(bytes.sizes()), "\n"));
  hash.Update({static_cast<const char*>(bytes.data_ptr()), bytes.nbytes()});
}

// The children of the network without a weight in `pairs`.
std::vector<std::string> Kept(const NamedTensors& state, const Pairs& pairs) {
  std::set<std::string> children;
  for (const auto& [name, tensor] : state) {
    if (pairs.count(name) == 0 && !IsBackbone(name))
      children.insert(name.substr(0, name.find('.')));
  }
  return {children.begin(), children.end()};
}

}  // namespace

absl::StatusOr<BackboneLoad> LoadBackboneWeights(const std::string& path,
                                                 SegmentationModel& model) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<WeightFile> file, OpenWeightFile(path));
  const NamedTensors whole = State(model);
  NamedTensors state;
  for (const auto& [name, tensor] : whole) {
    if (IsBackbone(name)) state[name] = tensor;
  }
  if (state.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": the ", model.architecture(), " has no backbone of its own"));
  }
  const Pairs pairs = BestMatch(state, *file);
  REFLUX_RETURN_IF_ERROR(Check(*file, state, pairs));
  BackboneLoad load;
  std::map<std::string, torch::Tensor> values;  // read before any is copied
  for (const auto& [ours, theirs] : pairs) {
    REFLUX_ASSIGN_OR_RETURN(values[theirs], file->Load(theirs));
  }
  torch::NoGradGuard no_grad;
  Sha256 hash;
  for (const auto& [ours, theirs] : pairs) {
    torch::Tensor target = state.at(ours);
    target.copy_(values.at(theirs));
    Hash(ours, target, hash);
    ++load.loaded;
  }
  for (const auto& [name, entry] : file->entries()) {
    if (values.count(name) == 0) load.ignored.push_back(name);
  }
  load.kept = Kept(whole, pairs);
  load.digest = hash.Finish();
  return load;
}

std::string BackboneLoad::ToString() const {
  const size_t shown = std::min<size_t>(ignored.size(), 6);
  return absl::StrCat(
      loaded, " tensors taken; not taken: ",
      ignored.empty() ? "none" : absl::StrJoin(ignored.begin(), ignored.begin() + shown, ", "),
      ignored.size() > shown ? absl::StrCat(" and ", ignored.size() - shown, " more") : "",
      "; as drawn: ", kept.empty() ? "none" : absl::StrJoin(kept, ", "));
}

}  // namespace reflux
