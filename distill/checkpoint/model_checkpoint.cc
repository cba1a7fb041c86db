#include "distill/checkpoint/model_checkpoint.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/checkpoint_info.h"
#include "distill/models/architectures.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

NamedTensors StateDict(const SegmentationModel& model) {
  NamedTensors state;
  for (const auto& item : model.named_parameters()) state[item.key()] = item.value();
  for (const auto& item : model.named_buffers()) state[item.key()] = item.value();
  return state;
}

constexpr char kConfiguration[] = "configuration";

bool IsCounter(const std::string& name) { return absl::EndsWith(name, "num_batches_tracked"); }

std::string FirstFive(const std::vector<std::string>& names) {
  const size_t shown = std::min<size_t>(names.size(), 5);
  return absl::StrCat(names.size(), " (", absl::StrJoin(names.begin(), names.begin() + shown, ", "),
                      names.size() > shown ? ", ..." : "", ")");
}

std::string Shape(torch::IntArrayRef shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::Status CheckNames(const WeightFile& file, const NamedTensors& state) {
  std::vector<std::string> missing, unexpected;
  for (const auto& [name, tensor] : state) {
    if (!file.Contains(name) && !IsCounter(name)) missing.push_back(name);
  }
  for (const auto& [name, entry] : file.entries()) {
    if (state.count(name) == 0) unexpected.push_back(name);
  }
  if (missing.empty() && unexpected.empty()) return absl::OkStatus();
  std::vector<std::string> complaints;
  if (!missing.empty()) complaints.push_back(absl::StrCat("missing tensors: ", FirstFive(missing)));
  if (!unexpected.empty()) {
    complaints.push_back(absl::StrCat("unexpected tensors: ", FirstFive(unexpected)));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(file.path(), ": ", absl::StrJoin(complaints, "; ")));
}

absl::Status CheckShapes(const WeightFile& file, const NamedTensors& state) {
  for (const auto& [name, entry] : file.entries()) {
    const torch::Tensor& target = state.at(name);
    if (target.sizes() != torch::IntArrayRef(entry.shape)) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.path(), ": tensor '", name, "' has shape ", Shape(entry.shape),
                       ", the network needs ", Shape(target.sizes())));
    }
    if (target.is_floating_point() != torch::isFloatingType(entry.dtype)) {
      return absl::InvalidArgumentError(absl::StrCat(file.path(), ": tensor '", name,
                                                     "' has dtype ", torch::toString(entry.dtype)));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSameNetwork(const WeightFile& file, const CheckpointInfo& info,
                              const SegmentationModel& model) {
  if (info.options.architecture != model.architecture()) {
    return absl::FailedPreconditionError(absl::StrCat(file.path(), " holds a ",
                                                      info.options.architecture, ", wanted is a ",
                                                      model.architecture()));
  }
  if (info.options.num_classes != model.num_classes()) {
    return absl::FailedPreconditionError(
        absl::StrCat(file.path(), " has ", info.options.num_classes, " classes, wanted are ",
                     model.num_classes()));
  }
  return absl::OkStatus();
}

// Of weights for a network that no table describes: a TorchScript module.
absl::Status CheckSameProgram(const WeightFile& file, const SegmentationModel& model) {
  const StringMap& metadata = file.metadata();
  const auto architecture = metadata.find("architecture"), made_by = metadata.find(kConfiguration);
  if (architecture != metadata.end() && architecture->second == model.architecture() &&
      made_by != metadata.end() && made_by->second == model.configuration()) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(file.path(), " does not hold weights of this ",
                                                    model.architecture(), " (",
                                                    model.configuration(), ")"));
}

absl::Status CopyWeights(const WeightFile& file, SegmentationModel& model) {
  const NamedTensors state = StateDict(model);
  REFLUX_RETURN_IF_ERROR(CheckNames(file, state));
  REFLUX_RETURN_IF_ERROR(CheckShapes(file, state));
  torch::NoGradGuard no_grad;
  for (const auto& [name, entry] : file.entries()) {
    REFLUX_ASSIGN_OR_RETURN(const torch::Tensor value, file.Load(name));
    torch::Tensor target = state.at(name);
    target.copy_(value);
  }
  return absl::OkStatus();
}

void AddField(Sha256& hash, uint8_t tag, absl::string_view bytes) {
  const uint64_t length = bytes.size();
  hash.Update({reinterpret_cast<const char*>(&tag), 1});
  hash.Update({reinterpret_cast<const char*>(&length), sizeof(length)});
  hash.Update(bytes);
}

absl::string_view BytesOf(const void* data, size_t bytes) {
  return {static_cast<const char*>(data), bytes};
}

const char* DTypeCode(torch::Dtype dtype) {
  switch (dtype) {
    case torch::kFloat64:
      return "F64";
    case torch::kFloat32:
      return "F32";
    case torch::kFloat16:
      return "F16";
    case torch::kBFloat16:
      return "BF16";
    case torch::kInt64:
      return "I64";
    case torch::kInt32:
      return "I32";
    case torch::kInt16:
      return "I16";
    case torch::kInt8:
      return "I8";
    case torch::kUInt8:
      return "U8";
    case torch::kBool:
      return "BOOL";
    default:
      TORCH_CHECK(false, "no digest is defined for weights of dtype ", torch::toString(dtype));
  }
}

}  // namespace

absl::Status SaveModelCheckpoint(const std::string& path, const SegmentationModel& model,
                                 const CheckpointInfo& info) {
  CheckpointInfo resolved = info;
  if (FindArchitecture(model.architecture()) != nullptr) {
    REFLUX_ASSIGN_OR_RETURN(resolved.options, ResolveModelOptions(info.options));
  } else {
    resolved.extra[kConfiguration] = model.configuration();
  }
  if (resolved.options.architecture != model.architecture() ||
      resolved.options.num_classes != model.num_classes() ||
      (!info.classes.empty() && static_cast<int64_t>(info.classes.size()) != model.num_classes())) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot save ", path, ": the description (", resolved.options.architecture,
                     ", ", resolved.options.num_classes, " classes, ", info.classes.size(),
                     " class names) is not that of the network (", model.architecture(), ", ",
                     model.num_classes(), " classes)"));
  }
  return WriteSafetensors(path, StateDict(model), EncodeCheckpointInfo(resolved));
}

absl::StatusOr<ModelCheckpoint> LoadModelCheckpoint(const WeightFile& file) {
  ModelCheckpoint checkpoint;
  REFLUX_ASSIGN_OR_RETURN(checkpoint.info, ReadCheckpointInfo(file));
  REFLUX_ASSIGN_OR_RETURN(checkpoint.model, BuildModel(checkpoint.info.options));
  REFLUX_RETURN_IF_ERROR(CopyWeights(file, *checkpoint.model));
  checkpoint.model->eval();
  return checkpoint;
}

absl::StatusOr<ModelCheckpoint> LoadModelCheckpoint(const std::string& path,
                                                    const std::string& layout) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<WeightFile> file, OpenWeightFile(path, layout));
  return LoadModelCheckpoint(*file);
}

absl::Status LoadModelWeights(const std::string& path, SegmentationModel& model) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<WeightFile> file, OpenWeightFile(path));
  if (FindArchitecture(model.architecture()) == nullptr) {
    REFLUX_RETURN_IF_ERROR(CheckSameProgram(*file, model));
    return CopyWeights(*file, model);
  }
  REFLUX_ASSIGN_OR_RETURN(const CheckpointInfo info, ReadCheckpointInfo(*file));
  REFLUX_RETURN_IF_ERROR(CheckSameNetwork(*file, info, model));
  return CopyWeights(*file, model);
}

Digest TeacherDigest(const SegmentationModel& model) {
  Sha256 hash;
  AddField(hash, 1, "reflux-teacher-1");
  AddField(hash, 2, model.architecture());
  const int64_t classes = model.num_classes();
  AddField(hash, 3, BytesOf(&classes, sizeof(classes)));
  AddField(hash, 4, model.configuration());
  for (const auto& [name, tensor] : StateDict(model)) {
    if (IsCounter(name)) continue;
    const torch::Tensor values = tensor.detach().to(torch::kCPU).contiguous();
    AddField(hash, 5, name);
    AddField(hash, 6, DTypeCode(values.scalar_type()));
    AddField(hash, 7, BytesOf(values.sizes().data(), values.dim() * sizeof(int64_t)));
    AddField(hash, 8, BytesOf(values.data_ptr(), values.nbytes()));
  }
  return hash.Finish();
}

absl::StatusOr<CheckpointSummary> InspectCheckpoint(const std::string& path) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<WeightFile> file, OpenWeightFile(path));
  return InspectCheckpoint(*file);
}

absl::StatusOr<CheckpointSummary> InspectCheckpoint(const WeightFile& file) {
  REFLUX_ASSIGN_OR_RETURN(const ModelCheckpoint checkpoint, LoadModelCheckpoint(file));
  CheckpointSummary summary;
  summary.path = file.path();
  summary.layout = file.LayoutName();
  summary.layout_text = file.LayoutText();
  summary.info = checkpoint.info;
  summary.has_metadata = file.metadata().count("preprocessing") > 0;
  for (const auto& parameter : checkpoint.model->parameters()) {
    summary.parameters += parameter.numel();
  }
  summary.taps = checkpoint.model->taps();
  summary.digest = TeacherDigest(*checkpoint.model);
  return summary;
}

std::string CheckpointSummary::ToString() const {
  const ModelOptions& o = info.options;
  const Preprocessing& p = info.preprocessing;
  std::vector<std::string> tap_texts;
  for (const auto& tap : taps) {
    tap_texts.push_back(
        absl::StrCat(tap.name, " (", tap.channels, " channels, stride ", tap.stride, ")"));
  }
  std::string text = absl::StrCat(
      "file: ", path, "\nlayout: ", layout_text, "\narchitecture: ", o.architecture,
      "\nclasses: ", o.num_classes,
      info.classes.empty() ? "" : absl::StrCat(" (", absl::StrJoin(info.classes, ", "), ")"),
      "\noutput stride: ", o.output_stride, "\nhead width: ", o.aspp_width);
  absl::StrAppend(&text, "\nauxiliary head: ", o.aux ? "yes" : "no", "\nparameters: ", parameters,
                  "\ntaps: ", absl::StrJoin(tap_texts, ", "),
                  "\npreprocessing: ", p.bgr ? "BGR" : "RGB", " / ", p.divisor, ", mean ",
                  absl::StrJoin(p.mean, " "), ", deviation ", absl::StrJoin(p.deviation, " "),
                  has_metadata ? "" : " (assumed: the file does not say)",
                  "\ndigest: ", digest.Hex(), "\n");
  for (const auto& [key, value] : info.extra) {
    // Stands above, except in a checkpoint of our own, where it tells whose weights were imported.
    if (key == "layout" && value == layout) continue;
    absl::StrAppend(&text, key == "layout" ? "imported from layout" : key, ": ", value, "\n");
  }
  return text;
}

}  // namespace reflux
