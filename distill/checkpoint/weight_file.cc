#include "distill/checkpoint/weight_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/checkpoint_info.h"
#include "distill/checkpoint/checkpoint_layout.h"
#include "distill/checkpoint/scripted_listing.h"
#include "distill/checkpoint/torch_file.h"

namespace reflux {
namespace {

torch::Dtype TorchDType(ElementType type) {
  switch (type) {
    case ElementType::kF64:
      return torch::kFloat64;
    case ElementType::kF32:
      return torch::kFloat32;
    case ElementType::kF16:
      return torch::kFloat16;
    case ElementType::kBF16:
      return torch::kBFloat16;
    case ElementType::kI64:
      return torch::kInt64;
    case ElementType::kI32:
      return torch::kInt32;
    case ElementType::kU8:
      return torch::kUInt8;
    case ElementType::kBool:
      return torch::kBool;
  }
  return torch::kFloat32;
}

class SafetensorsWeights : public WeightFile {
 public:
  SafetensorsWeights(SafetensorsFile file, const CheckpointLayout* layout)
      : WeightFile(file.path()), file_(std::move(file)) {
    metadata_ = file_.metadata();
    if (layout != nullptr) SetLayout(*layout);
    for (const auto& [name, entry] : file_.entries()) entries_[name] = {entry.dtype, entry.shape};
    remarks_ = {"format: safetensors"};
  }
  absl::StatusOr<torch::Tensor> Load(const std::string& name) const override {
    return file_.Load(name);
  }

 private:
  SafetensorsFile file_;
};

class TorchWeights : public WeightFile {
 public:
  TorchWeights(std::shared_ptr<const ByteSource> source, TorchFile file,
               const CheckpointLayout* layout)
      : WeightFile(source->name()), source_(std::move(source)) {
    Describe(file);
    for (auto& [name, tensor] : file.tensors) {
      entries_[name] = {TorchDType(tensor.type), tensor.shape};
      tensors_[name] = std::move(tensor);
    }
    if (layout != nullptr) SetLayout(*layout);
  }
  using WeightFile::SetPreprocessing;

  absl::StatusOr<torch::Tensor> Load(const std::string& name) const override {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) {
      return absl::NotFoundError(absl::StrCat(path_, ": no tensor '", name, "'"));
    }
    const StoredTensor& stored = found->second;
    const torch::Dtype dtype = TorchDType(stored.type);
    if (stored.begin == stored.end) return torch::empty(stored.shape, dtype);
    const auto elements =
        static_cast<int64_t>((stored.end - stored.begin) / ElementBytes(stored.type));
    const torch::Tensor storage = torch::empty({elements}, dtype);
    REFLUX_RETURN_IF_ERROR(source_->Read(stored.begin, stored.end - stored.begin,
                                         static_cast<char*>(storage.data_ptr())));
    return storage.as_strided(stored.shape, stored.strides).clone(at::MemoryFormat::Contiguous);
  }

 private:
  void Describe(const TorchFile& file) {
    remarks_.push_back(file.scripted ? "format: TorchScript, which was not run"
                       : file.zip    ? "format: torch.save (zip)"
                                     : "format: torch.save (before PyTorch 1.6)");
    if (!file.nested_under.empty()) {
      remarks_.push_back(absl::StrCat("state dict under: ", file.nested_under));
    }
    if (!file.prefix.empty()) {
      remarks_.push_back(absl::StrCat("prefix taken off: ", file.prefix));
    }
    if (!file.other_keys.empty()) {
      remarks_.push_back(absl::StrCat("not weights: ", absl::StrJoin(file.other_keys, ", ")));
    }
    if (!file.inert_classes.empty()) {
      remarks_.push_back(
          absl::StrCat("classes named, not loaded: ", absl::StrJoin(file.inert_classes, ", ")));
    }
  }

  std::shared_ptr<const ByteSource> source_;
  std::map<std::string, StoredTensor> tensors_;
};

constexpr char kOwnLayout[] = "reflux";

// The layout that was asked for; null: the file's own.
absl::StatusOr<const CheckpointLayout*> WantedLayout(const std::string& wanted) {
  if (wanted.empty() || wanted == "auto" || wanted == kOwnLayout) return nullptr;
  if (const CheckpointLayout* const layout = FindLayout(wanted)) return layout;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown layout '", wanted, "'; known are ", LayoutNames(), ", ", kOwnLayout));
}

const CheckpointLayout* LayoutByNames(const TorchFile& file) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : file.tensors) names.push_back(name);
  return RecogniseLayout(names);
}

TorchFile WeightsOf(std::vector<ScriptedTensor> tensors) {
  TorchFile file{.zip = true, .scripted = true};
  for (ScriptedTensor& tensor : tensors) {
    if (tensor.kind == ScriptedTensor::Kind::kAttribute) {
      file.other_keys.push_back(tensor.name);
    } else {
      file.tensors[tensor.name] = std::move(tensor.stored);
    }
  }
  StripPrefixes(file);
  return file;
}

absl::Status NotOurs(const std::string& path) {
  return absl::FailedPreconditionError(
      absl::StrCat(path,
                   ": layout reflux is for checkpoints that Reflux wrote, and this file's "
                   "metadata do not say so; try layout auto, or one of ",
                   LayoutNames()));
}

}  // namespace

void WeightFile::SetPreprocessing(const Preprocessing& preprocessing) {
  for (auto& [key, value] : LayoutMetadata(preprocessing)) metadata_[key] = value;
}

void WeightFile::SetLayout(const CheckpointLayout& layout) {
  SetPreprocessing(layout.preprocessing);
  metadata_["layout"] = layout.name;
}

std::string WeightFile::LayoutName() const {
  // SetLayout writes "layout" too, but no architecture.
  if (IsOwnFormat(metadata_) && metadata_.count("architecture") > 0) return kOwnLayout;
  if (const auto set = metadata_.find("layout"); set != metadata_.end()) return set->second;
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  const CheckpointLayout* const layout = RecogniseLayout(names);
  return layout == nullptr ? "" : layout->name;
}

std::string WeightFile::LayoutText() const {
  const std::string name = LayoutName();
  const CheckpointLayout* const layout = FindLayout(name);
  if (layout == nullptr) return name.empty() ? "not recognised" : name;
  return absl::StrCat(name, " (", layout->source, "), guessed from the names of its tensors");
}

absl::StatusOr<std::unique_ptr<WeightFile>> OpenWeightFile(const std::string& path,
                                                           const std::string& layout) {
  REFLUX_ASSIGN_OR_RETURN(const std::shared_ptr<const ByteSource> source, OpenByteSource(path));
  REFLUX_ASSIGN_OR_RETURN(const CheckpointLayout* const wanted, WantedLayout(layout));
  if (!LooksLikeTorchFile(*source)) {
    REFLUX_ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::Open(path));
    if (layout == kOwnLayout && !IsOwnFormat(file.metadata())) return NotOurs(path);
    return std::make_unique<SafetensorsWeights>(std::move(file), wanted);
  }
  if (layout == kOwnLayout) return NotOurs(path);
  REFLUX_ASSIGN_OR_RETURN(TorchFile file, ReadTorchFile(source));
  const CheckpointLayout* const chosen = wanted != nullptr ? wanted : LayoutByNames(file);
  return std::make_unique<TorchWeights>(source, std::move(file), chosen);
}

absl::StatusOr<std::unique_ptr<WeightFile>> OpenScriptedWeights(const std::string& path,
                                                                const std::string& layout) {
  REFLUX_ASSIGN_OR_RETURN(const std::shared_ptr<const ByteSource> source, OpenByteSource(path));
  REFLUX_ASSIGN_OR_RETURN(const CheckpointLayout* const wanted, WantedLayout(layout));
  if (layout == kOwnLayout) return NotOurs(path);
  REFLUX_ASSIGN_OR_RETURN(ScriptedListing listing, ListScriptedFile(source));
  TorchFile file = WeightsOf(std::move(listing.tensors));
  const CheckpointLayout* const chosen = wanted != nullptr ? wanted : LayoutByNames(file);
  auto weights = std::make_unique<TorchWeights>(source, std::move(file), chosen);
  if (wanted == nullptr && !listing.preprocessing.empty()) {
    REFLUX_ASSIGN_OR_RETURN(const Preprocessing saved,
                            ParsePreprocessing(path, listing.preprocessing));
    weights->SetPreprocessing(saved);
  }
  return weights;
}

}  // namespace reflux
