#include "distill/checkpoint/torch_file.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/torch_storages.h"
#include "distill/checkpoint/torch_tensors.h"

namespace reflux {
namespace {

using Kind = PickleValue::Kind;

// Where training programs put the weights, in the order in which they are looked for.
constexpr std::array<const char*, 7> kNestings = {
    "state_dict", "model_state_dict", "model_state", "model", "network", "net", "student"};
constexpr std::array<const char*, 3> kPrefixes = {"module.", "_orig_mod.", "model."};

// What wrappers put before every name. No name is copied: a hostile one may begin with a million
// of them.
std::string CommonPrefix(const std::map<std::string, StoredTensor>& tensors) {
  std::string common;
  for (size_t i = 0; i < kPrefixes.size() && !tensors.empty();) {
    const absl::string_view prefix = kPrefixes[i];
    const bool all = std::all_of(tensors.begin(), tensors.end(), [&](const auto& item) {
      const absl::string_view rest = absl::string_view(item.first).substr(common.size());
      return absl::StartsWith(rest, prefix) && rest.size() > prefix.size();
    });
    if (all) absl::StrAppend(&common, prefix);
    i = all ? 0 : i + 1;
  }
  return common;
}

class Interpreter {
 public:
  Interpreter(const ByteSource& source, TorchStorages& storages)
      : source_(source), graph_(storages.graph()), tensors_(source, storages) {}

  absl::StatusOr<TorchFile> Read() {
    TorchFile file;
    REFLUX_ASSIGN_OR_RETURN(const PickleId dict, FindStateDict(file));
    const std::vector<PickleId>& items = graph_[dict].items;
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      REFLUX_RETURN_IF_ERROR(ReadItem(items[i], items[i + 1], file));
    }
    StripPrefixes(file);
    file.inert_classes = InertClasses();
    return file;
  }

 private:
  absl::Status Error(absl::StatusCode code, absl::string_view what) const {
    return absl::Status(code, absl::StrCat(source_.name(), ": ", what));
  }
  absl::Status Broken(absl::string_view what) const {
    return Error(absl::StatusCode::kDataLoss, what);
  }

  bool HoldsTensors(PickleId dict) const {
    const PickleValue& value = graph_[dict];
    if (value.kind != Kind::kDict) return false;
    for (size_t i = 1; i < value.items.size(); i += 2) {
      if (tensors_.IsTensor(value.items[i]) || tensors_.IsForeign(value.items[i])) return true;
    }
    return false;
  }

  absl::StatusOr<PickleId> FindStateDict(TorchFile& file) const {
    const PickleValue& root = graph_[graph_.root];
    if (HoldsTensors(graph_.root)) return graph_.root;
    for (const char* key : kNestings) {
      const PickleId found = graph_.Find(graph_.root, key);
      if (found == kNoPickleValue || !HoldsTensors(found)) continue;
      file.nested_under = key;
      for (size_t i = 0; i < root.items.size(); i += 2) {
        const PickleValue& name = graph_[root.items[i]];
        if (name.kind == Kind::kString && name.text != key) file.other_keys.push_back(name.text);
      }
      return found;
    }
    return NoStateDict();
  }

  absl::Status NoStateDict() const {
    const PickleValue& root = graph_[graph_.root];
    if (root.kind == Kind::kObject) {
      return Error(absl::StatusCode::kUnimplemented,
                   absl::StrCat("it holds a whole object of class '", root.text,
                                "', which would have to be executed; save its state_dict()"));
    }
    std::vector<std::string> keys;
    for (size_t i = 0; i < root.items.size() && root.kind == Kind::kDict && keys.size() < 10;
         i += 2) {
      keys.push_back(graph_[root.items[i]].text.substr(0, 80));
    }
    return Error(absl::StatusCode::kInvalidArgument,
                 absl::StrCat("it holds no state dict, neither at its root nor under ",
                              absl::StrJoin(kNestings, ", "),
                              "; its keys are: ", absl::StrJoin(keys, ", ")));
  }

  absl::Status ReadItem(PickleId key, PickleId value, TorchFile& file) {
    const PickleValue& name = graph_[key];
    if (name.kind != Kind::kString) return Broken("a tensor's name is not a string");
    if (!tensors_.IsTensor(value) && !tensors_.IsForeign(value)) {
      file.other_keys.push_back(name.text);
      return absl::OkStatus();
    }
    REFLUX_ASSIGN_OR_RETURN(file.tensors[name.text], tensors_.Read(name.text, value));
    return absl::OkStatus();
  }

  std::vector<std::string> InertClasses() const {
    static const auto* const known =
        new std::set<std::string>{"torch._utils._rebuild_tensor",
                                  "torch._utils._rebuild_tensor_v2",
                                  "torch._utils._rebuild_parameter",
                                  "torch._utils._rebuild_parameter_with_state",
                                  "torch.Size",
                                  "collections.OrderedDict",
                                  "collections.defaultdict"};
    std::set<std::string> names;
    for (const PickleValue& value : graph_.values) {
      if (value.kind == Kind::kClass && known->count(value.text) == 0 &&
          !StorageElementType(value.text).ok()) {
        names.insert(value.text);
      }
    }
    return {names.begin(), names.end()};
  }

  const ByteSource& source_;
  const PickleGraph& graph_;
  const TensorReader tensors_;
};

}  // namespace

void StripPrefixes(TorchFile& file) {
  file.prefix = CommonPrefix(file.tensors);
  if (file.prefix.empty()) return;
  std::map<std::string, StoredTensor> stripped;
  for (auto& [name, tensor] : file.tensors) {
    stripped[name.substr(file.prefix.size())] = std::move(tensor);
  }
  file.tensors = std::move(stripped);
}

uint64_t ElementBytes(ElementType type) {
  switch (type) {
    case ElementType::kF64:
    case ElementType::kI64:
      return 8;
    case ElementType::kF32:
    case ElementType::kI32:
      return 4;
    case ElementType::kF16:
    case ElementType::kBF16:
      return 2;
    case ElementType::kU8:
    case ElementType::kBool:
      return 1;
  }
  return 1;
}

bool LooksLikeTorchFile(const ByteSource& source) {
  return HasZipMagic(source) || HasLegacyMagic(source);
}

absl::StatusOr<TorchFile> ReadTorchFile(std::shared_ptr<const ByteSource> source) {
  const bool zip = HasZipMagic(*source);
  if (!zip && !HasLegacyMagic(*source)) {
    return absl::InvalidArgumentError(absl::StrCat(
        source->name(), ": not a file of torch.save (neither zip nor its old format)"));
  }
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<TorchStorages> storages,
                          zip ? OpenZipStorages(source) : OpenLegacyStorages(source));
  REFLUX_ASSIGN_OR_RETURN(TorchFile file, Interpreter(*source, *storages).Read());
  file.zip = zip;
  return file;
}

}  // namespace reflux
