#include "distill/checkpoint/torch_tensors.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {

using Kind = PickleValue::Kind;

absl::Status TensorReader::Broken(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat(source_.name(), ": ", what));
}

// torch.nn.Parameter is a call around a tensor.
PickleId TensorReader::Unwrap(PickleId id) const {
  const PickleValue& value = graph_[id];
  const bool parameter =
      value.kind == Kind::kObject && (value.text == "torch._utils._rebuild_parameter" ||
                                      value.text == "torch._utils._rebuild_parameter_with_state");
  if (!parameter || graph_[value.arguments].items.empty()) return id;
  return graph_[value.arguments].items[0];
}

bool TensorReader::IsTensor(PickleId id) const {
  const PickleValue& value = graph_[Unwrap(id)];
  return value.kind == Kind::kObject && (value.text == "torch._utils._rebuild_tensor_v2" ||
                                         value.text == "torch._utils._rebuild_tensor");
}

bool TensorReader::IsForeign(PickleId id) const {
  const PickleValue& value = graph_[Unwrap(id)];
  return !IsTensor(id) && value.kind == Kind::kObject &&
         absl::StartsWith(value.text, "torch._utils._rebuild_");
}

absl::StatusOr<StoredTensor> TensorReader::Read(const std::string& name, PickleId id) const {
  const PickleValue& call = graph_[Unwrap(id)];
  if (!IsTensor(id)) {
    return absl::UnimplementedError(absl::StrCat(source_.name(), ": tensor '", name,
                                                 "' is made by ", call.text,
                                                 "; only plain dense tensors are read"));
  }
  absl::StatusOr<StoredTensor> tensor = ReadTensor(call);
  if (tensor.ok()) return tensor;
  return absl::Status(tensor.status().code(),
                      absl::StrCat(tensor.status().message(), " (tensor '", name, "')"));
}

// Arguments: storage, offset, size, stride, ...
absl::StatusOr<StoredTensor> TensorReader::ReadTensor(const PickleValue& call) const {
  const std::vector<PickleId>& arguments = graph_[call.arguments].items;
  StoredTensor tensor;
  if (arguments.size() < 4 || graph_[arguments[0]].kind != Kind::kPersistent ||
      graph_[arguments[1]].kind != Kind::kInteger || !ReadNumbers(arguments[2], tensor.shape) ||
      !ReadNumbers(arguments[3], tensor.strides) || tensor.shape.size() != tensor.strides.size()) {
    return Broken("malformed tensor");
  }
  REFLUX_ASSIGN_OR_RETURN(const StorageRange storage, ReadStorage(graph_[arguments[0]]));
  REFLUX_RETURN_IF_ERROR(Place(storage, graph_[arguments[1]].integer, tensor));
  return tensor;
}

bool TensorReader::ReadNumbers(PickleId id, std::vector<int64_t>& numbers) const {
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
absl::StatusOr<StorageRange> TensorReader::ReadStorage(const PickleValue& persistent) const {
  const PickleValue& id = graph_[persistent.arguments];
  if (id.kind != Kind::kTuple || id.items.size() < 5 || graph_[id.items[0]].text != "storage" ||
      graph_[id.items[2]].kind != Kind::kString || graph_[id.items[4]].kind != Kind::kInteger ||
      graph_[id.items[4]].integer < 0) {
    return Broken("malformed storage");
  }
  auto type = StorageElementType(graph_[id.items[1]].text);
  if (!type.ok()) {
    return absl::Status(type.status().code(),
                        absl::StrCat(source_.name(), ": ", type.status().message()));
  }
  REFLUX_ASSIGN_OR_RETURN(StorageRange range, storages_.Find(graph_[id.items[2]].text, *type,
                                                             graph_[id.items[4]].integer));
  if (id.items.size() > 5 && graph_[id.items[5]].kind == Kind::kTuple) {
    return View(graph_[id.items[5]], range);
  }
  return range;
}

absl::StatusOr<StorageRange> TensorReader::View(const PickleValue& place,
                                                StorageRange range) const {
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
absl::Status TensorReader::Place(const StorageRange& storage, int64_t offset,
                                 StoredTensor& tensor) const {
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

}  // namespace reflux
