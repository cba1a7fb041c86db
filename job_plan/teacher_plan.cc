#include "job_plan/teacher_plan.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/choose.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/evaluation/evaluate.h"
#include "job_plan/data_plan.h"
#include "job_plan/device_plan.h"
#include "job_plan/evaluation_plan.h"

namespace reflux {
namespace {

constexpr int64_t kCheckedImages = 100;

absl::StatusOr<ComputeDType> ParseCompute(const std::string& name) {
  return Choose<ComputeDType>("teacher.compute", name,
                              {{"fp32", ComputeDType::kFp32},
                               {"bf16", ComputeDType::kBf16},
                               {"fp64", ComputeDType::kFp64}});
}

}  // namespace

absl::StatusOr<Numerics> PlanNumerics(const v1::TeacherSpec& teacher) {
  Numerics numerics{.threads = teacher.threads(), .batch = teacher.batch()};
  REFLUX_ASSIGN_OR_RETURN(
      numerics.mode,
      Choose<NumericsMode>("teacher.numerics", teacher.numerics(),
                           {{"exact", NumericsMode::kExact}, {"fast", NumericsMode::kFast}}));
  REFLUX_ASSIGN_OR_RETURN(numerics.compute, ParseCompute(teacher.compute()));
  if (numerics.threads < 1 || numerics.threads > 1024 || numerics.batch < 1 ||
      numerics.batch > 1024) {
    return absl::InvalidArgumentError("teacher.threads and teacher.batch must be in 1..1024");
  }
  return numerics;
}

absl::StatusOr<Teacher> LoadTeacher(const v1::TeacherSpec& spec) {
  REFLUX_ASSIGN_OR_RETURN(const Numerics numerics, PlanNumerics(spec));
  REFLUX_ASSIGN_OR_RETURN(const torch::Device device, PlanDevice(spec.device()));
  REFLUX_ASSIGN_OR_RETURN(ModelCheckpoint checkpoint, LoadModelCheckpoint(spec.checkpoint()));
  return MakeTeacher(std::move(checkpoint.model), checkpoint.info.preprocessing, numerics, device);
}

absl::StatusOr<double> CheckTeacher(const Teacher& teacher, const v1::TeacherSpec& spec,
                                    const v1::DataSpec& data, const Cancellation* cancellation) {
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenValSplit(data));
  REFLUX_ASSIGN_OR_RETURN(EvaluationPlan plan,
                          PlanEvaluation(data, teacher.model->align_corners()));
  plan.evaluation.batch = teacher.identity.numerics.batch;
  plan.evaluation.end = kCheckedImages;
  const auto predict = [&](const torch::Tensor& images) -> absl::StatusOr<torch::Tensor> {
    REFLUX_ASSIGN_OR_RETURN(TapOutputs outputs, RunTeacher(teacher, images, {"logits"}));
    return outputs.at("logits");
  };
  REFLUX_ASSIGN_OR_RETURN(
      const ConfusionMatrix matrix,
      Evaluate(*dataset, teacher.identity.preprocessing, teacher.model->num_classes(),
               plan.evaluation, WithInference(predict, plan.inference), cancellation));
  const bool whole = dataset->task() == Task::kClassification;
  const double score = 100 * (whole ? matrix.PixelAccuracy() : matrix.MeanIou());
  const auto images = std::min<int64_t>(kCheckedImages, dataset->samples().size());
  // Guessing the commonest class gives at most one class in `num_classes` its full IoU.
  const double chance = 25.0 / static_cast<double>(teacher.model->num_classes());
  const double floor = spec.has_expect_miou() ? spec.expect_miou() : chance;
  if (score >= floor) return score;
  return absl::FailedPreconditionError(absl::StrFormat(
      "teacher: %.1f %% %s on %d val images, %s %.1f. Is the checkpoint (%s) trained for this "
      "data, and its "
      "preprocessing (%s) right?",
      score, whole ? "top-1 accuracy" : "mIoU", images,
      spec.has_expect_miou() ? "expected" : "which is below the floor of", floor, spec.checkpoint(),
      teacher.identity.preprocessing.bgr ? "BGR" : "RGB"));
}

}  // namespace reflux
