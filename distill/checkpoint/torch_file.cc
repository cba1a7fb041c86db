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

namespace reflux {
namespace {

using Kind = PickleValue::Kind;

// Where training programs put the weights, in the order in which they are looked for.
constexpr std::array<const char*, 7> kNestings = {
    "state_dict", "model_state_dict", "model_state", "model", "network", "net", "student"};
// What wrappers add to every name: DataParallel, torch.compile, Lightning.
constexpr std::array<const char*, 3> kPrefixes = {"module.", "_orig_mod.", "model."};

class Interpreter {
 public:
  Interpreter(const ByteSource& source, TorchStorages& storages)
      : source_(source), storages_(storages), graph_(storages.graph()) {}

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

  // torch.nn.Parameter is a call around a tensor.
  PickleId Unwrap(PickleId id) const {
    const PickleValue& value = graph_[id];
    const bool parameter =
        value.kind == Kind::kObject && (value.text == "torch._utils._rebuild_parameter" ||
                                        value.text == "torch._utils._rebuild_parameter_with_state");
    if (!parameter || graph_[value.arguments].items.empty()) return id;
    return graph_[value.arguments].items[0];
  }
  bool IsTensor(PickleId id) const {
    const PickleValue& value = graph_[Unwrap(id)];
    return value.kind == Kind::kObject && (value.text == "torch._utils._rebuild_tensor_v2" ||
                                           value.text == "torch._utils._rebuild_tensor");
  }
  // A tensor of a kind that is not read: better refused than left out.
  bool IsForeignTensor(PickleId id) const {
    const PickleValue& value = graph_[Unwrap(id)];
    return value.kind == Kind::kObject && absl::StartsWith(value.text, "torch._utils._rebuild_");
  }
  bool HoldsTensors(PickleId dict) const {
    const PickleValue& value = graph_[dict];
    if (value.kind != Kind::kDict) return false;
    for (size_t i = 1; i < value.items.size(); i += 2) {
      if (IsTensor(value.items[i]) || IsForeignTensor(value.items[i])) return true;
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
    if (!IsTensor(value)) {
      if (IsForeignTensor(value)) {
        return Error(
            absl::StatusCode::kUnimplemented,
            absl::StrCat("tensor '", name.text, "' is made by ", graph_[Unwrap(value)].text,
                         "; only plain dense tensors are read"));
      }
      file.other_keys.push_back(name.text);
      return absl::OkStatus();
    }
    absl::StatusOr<StoredTensor> tensor = ReadTensor(graph_[Unwrap(value)]);
    if (!tensor.ok()) {
      return absl::Status(tensor.status().code(),
                          absl::StrCat(tensor.status().message(), " (tensor '", name.text, "')"));
    }
    file.tensors[name.text] = *std::move(tensor);
    return absl::OkStatus();
  }

  // Arguments: storage, offset, size, stride, ...
  absl::StatusOr<StoredTensor> ReadTensor(const PickleValue& call) {
    const std::vector<PickleId>& arguments = graph_[call.arguments].items;
    StoredTensor tensor;
    if (arguments.size() < 4 || graph_[arguments[0]].kind != Kind::kPersistent ||
        graph_[arguments[1]].kind != Kind::kInteger || !ReadNumbers(arguments[2], tensor.shape) ||
        !ReadNumbers(arguments[3], tensor.strides) ||
        tensor.shape.size() != tensor.strides.size()) {
      return Broken("malformed tensor");
    }
    REFLUX_ASSIGN_OR_RETURN(const StorageRange storage, ReadStorage(graph_[arguments[0]]));
    REFLUX_RETURN_IF_ERROR(Place(storage, graph_[arguments[1]].integer, tensor));
    return tensor;
  }

  bool ReadNumbers(PickleId id, std::vector<int64_t>& numbers) const {
    constexpr size_t kMaxDimensions = 8;
    const PickleValue* list = &graph_[id];
    if (list->kind == Kind::kObject && list->text == "torch.Size" &&
        graph_[list->arguments].items.size() == 1) {
      list = &graph_[graph_[list->arguments].items[0]];
    }
    if (list->kind != Kind::kTuple || list->items.size() > kMaxDimensions) return false;
    for (const PickleId item : list->items) {
      if (graph_[item].kind != Kind::kInteger || graph_[item].integer < 0) return false;
      numbers.push_back(graph_[item].integer);
    }
    return true;
  }

  // ("storage", class, key, device, elements), in the old format then None or the place within it:
  // (key, offset, elements).
  absl::StatusOr<StorageRange> ReadStorage(const PickleValue& persistent) {
    const PickleValue& id = graph_[persistent.arguments];
    if (id.kind != Kind::kTuple || id.items.size() < 5 || graph_[id.items[0]].text != "storage" ||
        graph_[id.items[2]].kind != Kind::kString || graph_[id.items[4]].kind != Kind::kInteger ||
        graph_[id.items[4]].integer < 0) {
      return Broken("malformed storage");
    }
    auto type = StorageElementType(graph_[id.items[1]].text);
    if (!type.ok()) return Error(type.status().code(), type.status().message());
    REFLUX_ASSIGN_OR_RETURN(StorageRange range, storages_.Find(graph_[id.items[2]].text, *type,
                                                               graph_[id.items[4]].integer));
    if (id.items.size() > 5 && graph_[id.items[5]].kind == Kind::kTuple) {
      return View(graph_[id.items[5]], range);
    }
    return range;
  }

  absl::StatusOr<StorageRange> View(const PickleValue& place, StorageRange range) const {
    if (place.items.size() != 3 || graph_[place.items[1]].kind != Kind::kInteger ||
        graph_[place.items[2]].kind != Kind::kInteger) {
      return Broken("malformed view of a storage");
    }
    const auto offset = static_cast<uint64_t>(graph_[place.items[1]].integer);
    const auto elements = static_cast<uint64_t>(graph_[place.items[2]].integer);
    if (offset > range.elements || elements > range.elements - offset) {
      return Broken("a view goes beyond its storage");
    }
    range.begin += offset * ElementBytes(range.type);
    range.elements = elements;
    return range;
  }

  // Fills in type and range. The view may not be larger than its storage (an expanded tensor), so
  // that what is allocated for it is bounded by the file.
  absl::Status Place(const StorageRange& storage, int64_t offset, StoredTensor& tensor) const {
    int64_t count = 1, last = offset;
    bool overflow = false, empty = false;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      const int64_t size = tensor.shape[i];
      int64_t reach = 0;
      empty |= size == 0;
      overflow |= __builtin_mul_overflow(count, std::max<int64_t>(size, 1), &count);
      overflow |= __builtin_mul_overflow(std::max<int64_t>(size - 1, 0), tensor.strides[i], &reach);
      overflow |= __builtin_add_overflow(last, reach, &last);
    }
    const uint64_t bytes = ElementBytes(storage.type);
    tensor.type = storage.type;
    tensor.begin = tensor.end = storage.begin;
    if (empty && !overflow) return absl::OkStatus();
    if (overflow || offset < 0 || static_cast<uint64_t>(last) >= storage.elements ||
        static_cast<uint64_t>(count) > storage.elements) {
      return Broken("shape, strides and offset go beyond the storage");
    }
    tensor.begin = storage.begin + offset * bytes;
    tensor.end = storage.begin + (last + 1) * bytes;
    return absl::OkStatus();
  }

  static void StripPrefixes(TorchFile& file) {
    const auto all_start_with = [&](const std::string& prefix) {
      return std::all_of(file.tensors.begin(), file.tensors.end(), [&](const auto& item) {
        return absl::StartsWith(item.first, prefix) && item.first.size() > prefix.size();
      });
    };
    for (size_t i = 0; i < kPrefixes.size() && !file.tensors.empty();) {
      const std::string prefix = kPrefixes[i];
      if (!all_start_with(prefix)) {
        ++i;
        continue;
      }
      std::map<std::string, StoredTensor> stripped;
      for (auto& [name, tensor] : file.tensors) {
        stripped[name.substr(prefix.size())] = std::move(tensor);
      }
      file.tensors = std::move(stripped);
      file.prefix += prefix;
      i = 0;
    }
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
  TorchStorages& storages_;
  const PickleGraph& graph_;
};

}  // namespace

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
