// From the job file's `data` to how networks are evaluated.
#pragma once

#include "distill/evaluation/evaluate.h"
#include "distill/evaluation/inference.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

struct EvaluationPlan {
  EvaluationOptions evaluation;
  InferenceOptions inference;
};

// `align_corners` is the network's. InvalidArgument names the field.
absl::StatusOr<EvaluationPlan> PlanEvaluation(const v1::DataSpec& data, bool align_corners);

}  // namespace reflux
