#include "job_plan/evaluation_plan.h"

#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<EvaluationPlan> PlanEvaluation(const v1::DataSpec& data, bool align_corners) {
  EvaluationPlan plan;
  plan.evaluation.align_corners = plan.inference.align_corners = align_corners;
  if (data.eval_size_size() == 2) {
    plan.evaluation.height = data.eval_size(0);
    plan.evaluation.width = data.eval_size(1);
  }
  if (data.eval_window_size() == 2) {
    plan.inference.window_height = data.eval_window(0);
    plan.inference.window_width = data.eval_window(1);
  }
  if (data.eval_stride_size() == 2) {
    plan.inference.stride_height = data.eval_stride(0);
    plan.inference.stride_width = data.eval_stride(1);
  }
  plan.inference.scales = {data.eval_scales().begin(), data.eval_scales().end()};
  plan.inference.flip = data.eval_flip();
  REFLUX_RETURN_IF_ERROR(plan.inference.Validate());
  return plan;
}

}  // namespace reflux
