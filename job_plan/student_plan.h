// From the job file to the student's network, losses, optimiser and length of the run.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "distill/losses/loss_set.h"
#include "distill/models/model_options.h"
#include "distill/models/segmentation_model.h"
#include "distill/optim/sgd.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

absl::StatusOr<ModelOptions> PlanModel(const v1::JobSpec& spec, int64_t num_classes);

// `teacher` is needed when NeedsTeacher. Errors: InvalidArgument for a bad option, NotFound for a
// tap that does not exist on one side (those that do are listed), FailedPrecondition when class
// counts differ.
absl::StatusOr<std::shared_ptr<LossSet>> PlanLosses(const v1::JobSpec& spec,
                                                    const SegmentationModel& student,
                                                    const std::optional<TeacherInfo>& teacher);

// Steps of the whole run over `samples` training images.
absl::StatusOr<int64_t> PlanSteps(const v1::TrainSpec& train, int64_t samples);

SgdOptions PlanSgd(const v1::TrainSpec& train, int64_t total_steps);

// What the student asks of the teacher for every sample.
absl::StatusOr<std::vector<TargetSpec>> PlanTargetSpecs(const v1::TargetsSpec& targets,
                                                        const LossSet& losses);

}  // namespace reflux
