#include "bench/step_student.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/spec/loss_fields.h"
#include "distill/models/build_model.h"
#include "distill/models/counter_dropout.h"
#include "distill/models/placement.h"
#include "job_plan/device_plan.h"
#include "job_plan/loss_plan.h"
#include "job_plan/student_plan.h"
#include "student_worker/scoped_autocast.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<StepStudent>> StepStudent::Create(const v1::JobSpec& spec,
                                                                 int64_t classes, int ignore_index,
                                                                 const TeacherInfo& teacher) {
  auto student = std::unique_ptr<StepStudent>(new StepStudent);
  REFLUX_ASSIGN_OR_RETURN(const ModelOptions options, PlanModel(spec, classes));
  REFLUX_ASSIGN_OR_RETURN(student->model_, BuildModel(options));
  InitializeWeights(*student->model_, spec.train().seed());
  student->autocast_ = spec.train().precision() == "bf16";
  student->channels_last_ = spec.train().channels_last();
  REFLUX_ASSIGN_OR_RETURN(student->device_, PlanDevice(spec.train().device(), /*rank=*/0));
  PlaceModule(*student->model_, student->device_, torch::kFloat32, student->channels_last_);
  student->ignore_index_ = ignore_index;
  student->seed_ = spec.train().seed();
  student->total_steps_ = spec.train().steps();
  REFLUX_ASSIGN_OR_RETURN(student->distillation_,
                          PlanLosses(spec, *student->model_, {{"default", teacher}}));
  v1::JobSpec alone = spec;
  RemoveTeacherLosses(*alone.mutable_losses());
  REFLUX_ASSIGN_OR_RETURN(student->task_, PlanLosses(alone, *student->model_, {}));
  PlaceModule(*student->distillation_, student->device_, torch::kFloat32, false);
  Sgd::NamedParameters parameters = ParametersOf(*student->model_);
  parameters.merge(ParametersOf(*student->distillation_, "losses."));
  REFLUX_ASSIGN_OR_RETURN(student->optimizer_,
                          Sgd::Create(parameters, PlanSgd(spec.train(), student->total_steps_)));
  return student;
}

LossInputs StepStudent::Forward(const Batch& batch, const std::vector<std::string>& taps) {
  SetDropoutContext(*model_, {.seed = seed_,
                              .step = static_cast<uint64_t>(batch.step),
                              .first_position = static_cast<uint64_t>(batch.first_position)});
  LossInputs inputs{.labels = Sent(batch.labels, device_),
                    .ignore_index = ignore_index_,
                    .step = static_cast<uint64_t>(batch.step),
                    .first_position = static_cast<uint64_t>(batch.first_position),
                    .global_batch = batch.images.size(0),
                    .total_steps = total_steps_};
  {
    const ScopedAutocast scope(autocast_, device_.type());
    const torch::Tensor images = Sent(batch.images, device_);
    inputs.student = model_->Forward(
        channels_last_ ? images.contiguous(at::MemoryFormat::ChannelsLast) : images, taps);
  }
  for (auto& [tap, map] : inputs.student) map = map.to(torch::kFloat32);
  for (const auto& [teacher, maps] : batch.targets) {
    for (const auto& [tap, map] : maps)
      inputs.teachers[teacher][tap] = Widened(map, device_, torch::kFloat32);
  }
  return inputs;
}

absl::Status StepStudent::Step(const Batch& batch) {
  LossSet& losses = batch.targets.empty() ? *task_ : *distillation_;
  optimizer_->ZeroGrad();
  const LossInputs inputs = Forward(batch, losses.student_taps());
  const LossResult result = losses.Compute(inputs, batch.step, total_steps_, collectives_, false);
  if (!std::isfinite(result.total_value)) {
    return absl::InternalError(absl::StrCat("the loss of step ", batch.step, " is not finite"));
  }
  result.total.backward();
  losses.ClipGradients();
  optimizer_->Step(batch.step);
  return absl::OkStatus();
}

}  // namespace reflux
