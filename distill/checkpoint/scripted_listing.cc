#include "distill/checkpoint/scripted_listing.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/scripted_archive.h"
#include "distill/checkpoint/torch_storages.h"
#include "distill/checkpoint/torch_tensors.h"

namespace reflux {
namespace {

using Kind = PickleValue::Kind;

constexpr int kMaxDepth = 100;
// A module that stands in several places is listed in each, so that a few may make very many.
constexpr size_t kMaxModules = size_t{1} << 16, kMaxTensors = size_t{1} << 18;
// So may a few long names; and a class's file is unpacked for each class of it.
constexpr size_t kMaxListedBytes = size_t{64} << 20, kMaxCodeBytes = size_t{256} << 20;

// What the code says of a class.
struct ModuleClass {
  std::set<std::string> parameters, buffers;
};

// The names in `  LABEL = ["weight", "bias", ]`, which is how PyTorch writes them.
std::set<std::string> NamesIn(absl::string_view line) {
  std::set<std::string> names;
  const std::vector<absl::string_view> parts = absl::StrSplit(line, '"');
  for (size_t i = 1; i < parts.size(); i += 2) names.insert(std::string(parts[i]));
  return names;
}

ModuleClass ParseClass(absl::string_view code, absl::string_view name) {
  ModuleClass found;
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(code, '\n')) {
    if (absl::ConsumePrefix(&line, "class ")) {
      inside = absl::ConsumePrefix(&line, name) && absl::ConsumePrefix(&line, "(");
    } else if (inside && absl::ConsumePrefix(&line, "  __parameters__ = ")) {
      found.parameters = NamesIn(line);
    } else if (inside && absl::ConsumePrefix(&line, "  __buffers__ = ")) {
      found.buffers = NamesIn(line);
    }
  }
  return found;
}

class Lister {
 public:
  Lister(const ByteSource& source, const ScriptedArchive& archive, TorchStorages& storages)
      : source_(source), archive_(archive), graph_(storages.graph()), reader_(source, storages) {}

  absl::StatusOr<std::vector<ScriptedTensor>> List() {
    REFLUX_RETURN_IF_ERROR(ListModule(graph_.root, "", 0));
    return std::move(tensors_);
  }

 private:
  absl::Status Exhausted(absl::string_view why) const {
    return absl::ResourceExhaustedError(absl::StrCat(source_.name(), ": ", why));
  }

  absl::Status ListModule(PickleId id, const std::string& prefix, int depth) {
    if (depth > kMaxDepth || ++modules_ > kMaxModules || tensors_.size() > kMaxTensors) {
      return Exhausted("its modules are too many or nested too deep");
    }
    const PickleValue& object = graph_[id];
    REFLUX_ASSIGN_OR_RETURN(const ModuleClass* const made_by, ClassOf(object.text));
    const std::vector<PickleId>& state = graph_[object.state].items;
    for (size_t i = 0; i + 1 < state.size(); i += 2) {
      const PickleValue& name = graph_[state[i]];
      if (name.kind != Kind::kString) {
        return absl::DataLossError(
            absl::StrCat(source_.name(), ": an attribute's name is not a string"));
      }
      REFLUX_RETURN_IF_ERROR(ListAttribute(*made_by, prefix, name.text, state[i + 1], depth));
    }
    return absl::OkStatus();
  }

  absl::Status ListAttribute(const ModuleClass& made_by, const std::string& prefix,
                             const std::string& name, PickleId value, int depth) {
    const std::string full = prefix + name;
    listed_bytes_ += sizeof(ScriptedTensor) + full.size();
    if (listed_bytes_ > kMaxListedBytes) return Exhausted("its attributes are too many");
    if (IsModule(value)) return ListModule(value, full + ".", depth + 1);
    if (!reader_.IsTensor(value) && !reader_.IsForeign(value)) return absl::OkStatus();
    REFLUX_ASSIGN_OR_RETURN(StoredTensor tensor, reader_.Read(full, value));
    const auto kind = made_by.parameters.count(name) > 0 ? ScriptedTensor::Kind::kParameter
                      : made_by.buffers.count(name) > 0  ? ScriptedTensor::Kind::kBuffer
                                                         : ScriptedTensor::Kind::kAttribute;
    tensors_.push_back({full, kind, std::move(tensor)});
    return absl::OkStatus();
  }

  bool IsModule(PickleId id) const {
    const PickleValue& value = graph_[id];
    return value.kind == Kind::kObject && value.state != kNoPickleValue &&
           graph_[value.state].kind == Kind::kDict;
  }

  // "__torch__.torch.nn.modules.conv.Conv2d" stands in code/__torch__/torch/nn/modules/conv.py.
  absl::StatusOr<const ModuleClass*> ClassOf(const std::string& qualified) {
    const auto known = classes_.find(qualified);
    if (known != classes_.end()) return &known->second;
    const std::pair<std::string, std::string> parts = [&] {
      const size_t dot = qualified.rfind('.');
      if (dot == std::string::npos) return std::make_pair(std::string(), qualified);
      return std::make_pair(qualified.substr(0, dot), qualified.substr(dot + 1));
    }();
    const std::string file =
        absl::StrCat("code/", absl::StrReplaceAll(parts.first, {{".", "/"}}), ".py");
    ModuleClass found;
    if (archive_.Contains(file)) {
      REFLUX_ASSIGN_OR_RETURN(const std::string code, archive_.Content(file));
      code_bytes_ += code.size();
      if (code_bytes_ > kMaxCodeBytes) return Exhausted("its classes have too much code");
      found = ParseClass(code, parts.second);
    }
    return &classes_.emplace(qualified, std::move(found)).first->second;
  }

  const ByteSource& source_;
  const ScriptedArchive& archive_;
  const PickleGraph& graph_;
  const TensorReader reader_;
  std::map<std::string, ModuleClass> classes_;
  std::vector<ScriptedTensor> tensors_;
  size_t modules_ = 0, listed_bytes_ = 0, code_bytes_ = 0;
};

}  // namespace

absl::StatusOr<ScriptedListing> ListScriptedFile(std::shared_ptr<const ByteSource> source) {
  constexpr char kPreprocessing[] = "extra/preprocessing";
  REFLUX_ASSIGN_OR_RETURN(const ScriptedArchive archive, ScriptedArchive::Open(source));
  REFLUX_RETURN_IF_ERROR(archive.CheckEntries());
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<TorchStorages> storages,
                          OpenScriptedStorages(source));
  const PickleGraph& graph = storages->graph();
  const PickleValue& root = graph[graph.root];
  if (root.kind != Kind::kObject || root.text.empty() || root.state == kNoPickleValue ||
      graph[root.state].kind != Kind::kDict) {
    return absl::DataLossError(absl::StrCat(source->name(), ": its data.pkl holds no module"));
  }
  ScriptedListing listing{.module_class = root.text};
  REFLUX_ASSIGN_OR_RETURN(listing.tensors, Lister(*source, archive, *storages).List());
  REFLUX_ASSIGN_OR_RETURN(listing.code_digest, archive.CodeDigest());
  if (archive.Contains(kPreprocessing)) {
    REFLUX_ASSIGN_OR_RETURN(listing.preprocessing, archive.Content(kPreprocessing));
  }
  return listing;
}

}  // namespace reflux
