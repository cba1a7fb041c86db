// From the job file to the terms of the training loss.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/targets/target.h"
#include "distill/losses/loss_set.h"
#include "distill/models/segmentation_model.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// What is known of each teacher, by its name in the job (a key of JobSpec.teachers).
using TeacherInfos = std::map<std::string, TeacherInfo>;

// `teachers` holds at least UsedTeachers. Errors: InvalidArgument for a bad option, NotFound for a
// tap that does not exist on one side (those that do are listed), FailedPrecondition when class
// counts differ.
absl::StatusOr<std::shared_ptr<LossSet>> PlanLosses(const v1::JobSpec& spec,
                                                    const SegmentationModel& student,
                                                    const TeacherInfos& teachers);

}  // namespace reflux
