#include "job_plan/student_plan.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// Sums over many positions pass the range of fp16, and are small: they are kept in float32.
Codec CodecOf(Reduction reduction, Codec codec) {
  if (reduction != Reduction::kClassSums) return codec;
  return IsCompressed(codec) ? Compressed(Codec::kFp32) : Codec::kFp32;
}

}  // namespace

absl::StatusOr<ModelOptions> PlanModel(const v1::JobSpec& spec, int64_t num_classes) {
  const v1::StudentSpec& student = spec.student();
  ModelOptions options{.architecture = student.model(),
                       .num_classes = num_classes,
                       .output_stride = student.output_stride(),
                       .aspp_width = student.aspp_width()};
  options.aux = spec.losses().ce().aux_weight() > 0;
  if (student.has_dropout()) options.head_dropout = options.aspp_dropout = student.dropout();
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return options;
}

absl::StatusOr<int64_t> PlanSteps(const v1::TrainSpec& train, int64_t samples) {
  if (train.global_batch() < 1)
    return absl::InvalidArgumentError("train.global_batch: must be at least 1");
  if (train.steps() > 0) return train.steps();
  const auto steps = static_cast<int64_t>(
      std::ceil(train.epochs() * static_cast<double>(samples) / train.global_batch() - 1e-9));
  if (steps < 1) return absl::InvalidArgumentError("train: give steps or epochs");
  return steps;
}

SgdOptions PlanSgd(const v1::TrainSpec& train, int64_t total_steps) {
  LearningRateSchedule schedule{
      .base_lr = train.learning_rate(), .power = train.poly_power(), .total_steps = total_steps};
  if (train.lr_schedule() == "step") {
    schedule.power = 0;
    schedule.milestones = {train.lr_milestones().begin(), train.lr_milestones().end()};
    schedule.decay = train.lr_decay();
  }
  return {.schedule = std::move(schedule),
          .momentum = train.momentum(),
          .weight_decay = train.weight_decay(),
          .head_lr_multiplier = train.head_lr_multiplier()};
}

absl::StatusOr<std::vector<TargetSpec>> PlanTargetSpecs(const v1::TargetsSpec& targets,
                                                        const LossSet& losses,
                                                        const std::string& teacher) {
  REFLUX_ASSIGN_OR_RETURN(const Codec codec, ParseCodec(targets.codec()));
  std::vector<TargetSpec> specs;
  for (const std::string& name : losses.teacher_taps(teacher)) {
    REFLUX_ASSIGN_OR_RETURN(TargetSpec spec, ParseTargetName(name));
    spec.codec = CodecOf(spec.reduction, codec);
    // Of a feature map its greatest channels say nothing.
    if (TopK(spec.codec) > 0 && spec.tap != "logits") {
      return absl::InvalidArgumentError(absl::StrCat("targets.codec: ", Name(codec),
                                                     " is for logits alone, and a loss reads the ",
                                                     "teacher's ", spec.tap, ": use fp16"));
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace reflux
