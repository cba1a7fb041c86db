#include "bench/untrained_teacher.h"

#include "absl/strings/match.h"
#include "common/base/status_macros.h"
#include "distill/data/class_tables.h"
#include "distill/models/build_model.h"

namespace reflux {

absl::StatusOr<std::shared_ptr<SegmentationModel>> UntrainedTeacher(
    const std::string& architecture) {
  ModelOptions options;
  options.architecture = architecture;
  options.num_classes = static_cast<int64_t>(CamVidClasses().names.size());
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<SegmentationModel> model, BuildModel(options));
  InitializeWeights(*model, 17);
  const torch::NoGradGuard no_gradients;
  for (auto& parameter : model->named_parameters()) {
    if (absl::EndsWith(parameter.key(), ".bn3.weight")) parameter.value().fill_(0.2);
  }
  return model;
}

}  // namespace reflux
