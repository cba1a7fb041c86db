// From the job file to the terms of the training loss.
#pragma once

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "distill/losses/loss_set.h"
#include "distill/models/segmentation_model.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// `teacher` is needed when NeedsTeacher. Errors: InvalidArgument for a bad option, NotFound for a
// tap that does not exist on one side (those that do are listed), FailedPrecondition when class
// counts differ.
absl::StatusOr<std::shared_ptr<LossSet>> PlanLosses(const v1::JobSpec& spec,
                                                    const SegmentationModel& student,
                                                    const std::optional<TeacherInfo>& teacher);

}  // namespace reflux
