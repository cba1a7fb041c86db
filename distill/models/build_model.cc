#include "distill/models/build_model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "distill/models/architectures.h"

namespace reflux {
namespace {

absl::Status OutOfRange(absl::string_view field, double value, absl::string_view allowed) {
  return absl::InvalidArgumentError(
      absl::StrCat("model.", field, " is ", value, ", must be ", allowed));
}

}  // namespace

absl::Status ModelOptions::Validate() const {
  if (num_classes < 2 || num_classes > kMaxClasses) {
    return OutOfRange("num_classes", num_classes, absl::StrCat("2 to ", kMaxClasses));
  }
  if (output_stride != 0 && output_stride != 8 && output_stride != 16 && output_stride != 32) {
    return OutOfRange("output_stride", output_stride,
                      "8 or 16, or 32 or 0 for the architecture's own");
  }
  if (aspp_width < 0 || aspp_width > kMaxWidth) {
    return OutOfRange("aspp_width", aspp_width,
                      absl::StrCat("1 to ", kMaxWidth, ", or 0 for the architecture's own"));
  }
  for (const auto& [field, rate] : {std::pair<const char*, double>{"head_dropout", head_dropout},
                                    {"aspp_dropout", aspp_dropout}}) {
    if (!(rate >= 0 && rate < 1)) return OutOfRange(field, rate, "at least 0 and below 1");
  }
  if (!(norm_epsilon > 0)) return OutOfRange("norm_epsilon", norm_epsilon, "positive");
  if (!(norm_momentum > 0 && norm_momentum <= 1)) {
    return OutOfRange("norm_momentum", norm_momentum, "above 0 and at most 1");
  }
  return absl::OkStatus();
}

std::vector<std::string> KnownArchitectures() {
  std::vector<std::string> names;
  for (const Architecture& architecture : Architectures()) names.push_back(architecture.name);
  return names;
}

absl::StatusOr<ModelOptions> ResolveModelOptions(ModelOptions options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  const Architecture* const architecture = FindArchitecture(options.architecture);
  if (architecture == nullptr) {
    return absl::NotFoundError(absl::StrCat("unknown architecture '", options.architecture,
                                            "'; known are ",
                                            absl::StrJoin(KnownArchitectures(), ", ")));
  }
  if (options.aspp_width > 0 && architecture->aspp_width == 0) {
    return OutOfRange("aspp_width", options.aspp_width,
                      absl::StrCat("0 for ", options.architecture, ", which has no such head"));
  }
  if (options.aspp_width == 0) options.aspp_width = architecture->aspp_width;
  const std::vector<int64_t>& strides = architecture->output_strides;
  if (options.output_stride == 0) options.output_stride = strides.front();
  if (std::find(strides.begin(), strides.end(), options.output_stride) == strides.end()) {
    return OutOfRange("output_stride", options.output_stride,
                      absl::StrCat(absl::StrJoin(strides, " or "), " for ", options.architecture));
  }
  options.aux = options.aux && !architecture->auxiliary.empty();
  return options;
}

absl::StatusOr<std::shared_ptr<SegmentationModel>> BuildModel(const ModelOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(const ModelOptions resolved, ResolveModelOptions(options));
  return FindArchitecture(resolved.architecture)->build(resolved);
}

}  // namespace reflux
