#include "distill/checkpoint/checkpoint_info.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "distill/models/architectures.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "reflux-model-1";
const std::set<std::string>& OwnKeys() {
  static const auto* const keys = new std::set<std::string>{
      "format", "architecture", "num_classes",   "output_stride", "aspp_width",
      "aux",    "norm_epsilon", "preprocessing", "classes"};
  return *keys;
}

absl::Status Invalid(const WeightFile& file, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(file.path(), ": ", what));
}

bool IsTriple(const json& value) {
  return value.is_array() && value.size() == 3 && value[0].is_number() && value[1].is_number() &&
         value[2].is_number();
}

absl::StatusOr<std::vector<std::string>> ParseClasses(const WeightFile& file,
                                                      const std::string& text) {
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  std::vector<std::string> classes;
  if (!value.is_array()) return Invalid(file, "metadata 'classes' is not a JSON list");
  for (const json& name : value) {
    if (!name.is_string()) return Invalid(file, "metadata 'classes' holds a non-string");
    classes.push_back(name.get<std::string>());
  }
  return classes;
}

// First dimension of a tensor, 0 when it is not there.
int64_t FirstSize(const WeightFile& file, const std::string& name) {
  const auto found = file.entries().find(name);
  return found == file.entries().end() || found->second.shape.empty() ? 0 : found->second.shape[0];
}

absl::StatusOr<ModelOptions> OptionsFromTensors(const WeightFile& file) {
  const Architecture* const architecture =
      RecogniseArchitecture([&](const std::string& name) -> std::optional<std::vector<int64_t>> {
        const auto found = file.entries().find(name);
        if (found == file.entries().end()) return std::nullopt;
        return found->second.shape;
      });
  if (architecture == nullptr) {
    return absl::NotFoundError(
        absl::StrCat(file.path(), ": its tensor names belong to no known network; known are ",
                     absl::StrJoin(KnownArchitectures(), ", ")));
  }
  ModelOptions options;
  options.architecture = architecture->name;
  options.num_classes = FirstSize(file, architecture->classifier);
  options.aspp_width = FirstSize(file, architecture->width);
  options.aux = !architecture->auxiliary.empty() && file.Contains(architecture->auxiliary);
  return options;
}

absl::Status CheckAgainstTensors(const WeightFile& file, const std::string& key,
                                 const std::string& from_tensors) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end() || found->second == from_tensors) return absl::OkStatus();
  return Invalid(file, absl::StrCat("metadata says ", key, " ", found->second,
                                    ", the weights have ", from_tensors));
}

absl::Status ReadOptions(const WeightFile& file, ModelOptions& options) {
  const StringMap& metadata = file.metadata();
  REFLUX_RETURN_IF_ERROR(CheckAgainstTensors(file, "architecture", options.architecture));
  REFLUX_RETURN_IF_ERROR(
      CheckAgainstTensors(file, "num_classes", absl::StrCat(options.num_classes)));
  REFLUX_RETURN_IF_ERROR(CheckAgainstTensors(file, "aspp_width", absl::StrCat(options.aspp_width)));
  REFLUX_RETURN_IF_ERROR(CheckAgainstTensors(file, "aux", options.aux ? "true" : "false"));
  if (const auto found = metadata.find("output_stride");
      found != metadata.end() && !absl::SimpleAtoi(found->second, &options.output_stride)) {
    return Invalid(file, "metadata 'output_stride' is not an integer");
  }
  if (const auto found = metadata.find("norm_epsilon");
      found != metadata.end() && !absl::SimpleAtod(found->second, &options.norm_epsilon)) {
    return Invalid(file, "metadata 'norm_epsilon' is not a number");
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodePreprocessing(const Preprocessing& p) {
  return json({{"order", p.bgr ? "BGR" : "RGB"},
               {"divisor", p.divisor},
               {"mean", p.mean},
               {"deviation", p.deviation}})
      .dump();
}

StringMap EncodeCheckpointInfo(const CheckpointInfo& info) {
  StringMap metadata = info.extra;
  const ModelOptions& options = info.options;
  metadata["format"] = kFormat;
  metadata["architecture"] = options.architecture;
  metadata["num_classes"] = absl::StrCat(options.num_classes);
  metadata["output_stride"] = absl::StrCat(options.output_stride);
  metadata["aspp_width"] = absl::StrCat(options.aspp_width);
  metadata["aux"] = options.aux ? "true" : "false";
  metadata["norm_epsilon"] = json(options.norm_epsilon).dump();  // round-trips
  metadata["preprocessing"] = EncodePreprocessing(info.preprocessing);
  metadata["classes"] = json(info.classes).dump();
  return metadata;
}

absl::StatusOr<Preprocessing> ParsePreprocessing(const std::string& path, const std::string& text) {
  const json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object() || !value.contains("order") || !value.contains("divisor") ||
      !value.contains("mean") || !value.contains("deviation") || !value["divisor"].is_number() ||
      !IsTriple(value["mean"]) || !IsTriple(value["deviation"]) ||
      (value["order"] != "RGB" && value["order"] != "BGR")) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": metadata 'preprocessing' is malformed: ", text));
  }
  Preprocessing p;
  p.bgr = value["order"] == "BGR";
  p.divisor = value["divisor"];
  p.mean = value["mean"];
  p.deviation = value["deviation"];
  bool usable = std::isfinite(p.divisor) && p.divisor != 0;
  for (const double d : p.deviation) usable = usable && std::isfinite(d) && d != 0;
  if (!usable) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": preprocessing divides by zero or is not finite"));
  }
  return p;
}

bool IsOwnFormat(const StringMap& metadata) {
  const auto format = metadata.find("format");
  return format != metadata.end() && format->second == kFormat;
}

StringMap LayoutMetadata(const Preprocessing& preprocessing) {
  return {{"format", kFormat}, {"preprocessing", EncodePreprocessing(preprocessing)}};
}

absl::StatusOr<CheckpointInfo> ReadCheckpointInfo(const WeightFile& file) {
  const StringMap& metadata = file.metadata();
  if (const auto found = metadata.find("architecture"); found != metadata.end()) {
    ModelOptions known;
    known.architecture = found->second;
    REFLUX_RETURN_IF_ERROR(ResolveModelOptions(known).status());
  }
  CheckpointInfo info;
  REFLUX_ASSIGN_OR_RETURN(info.options, OptionsFromTensors(file));
  // Another program's metadata ("format": "pt") says nothing about our fields.
  const bool ours = IsOwnFormat(metadata);
  if (ours) REFLUX_RETURN_IF_ERROR(ReadOptions(file, info.options));
  const absl::StatusOr<ModelOptions> resolved = ResolveModelOptions(info.options);
  if (!resolved.ok()) return Invalid(file, std::string(resolved.status().message()));
  info.options = *resolved;
  if (!ours) return info;
  if (const auto found = metadata.find("preprocessing"); found != metadata.end()) {
    REFLUX_ASSIGN_OR_RETURN(info.preprocessing, ParsePreprocessing(file.path(), found->second));
  }
  if (const auto found = metadata.find("classes"); found != metadata.end()) {
    REFLUX_ASSIGN_OR_RETURN(info.classes, ParseClasses(file, found->second));
  }
  if (!info.classes.empty() &&
      static_cast<int64_t>(info.classes.size()) != info.options.num_classes) {
    return Invalid(file, absl::StrCat("names ", info.classes.size(), " classes, the weights have ",
                                      info.options.num_classes));
  }
  for (const auto& [key, value] : metadata) {
    if (OwnKeys().count(key) == 0) info.extra[key] = value;
  }
  return info;
}

}  // namespace reflux
