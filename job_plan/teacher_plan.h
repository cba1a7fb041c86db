// From the job file's teacher to a loaded, checked network.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "distill/teacher/local_source.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

absl::StatusOr<Numerics> PlanNumerics(const v1::TeacherSpec& teacher);

// Loads the checkpoint, in the numerics, on the device and in the order of classes that the job
// wants. The data set is opened only for the latter. With layout torchscript that RUNS the program
// in the file (distill/checkpoint/scripted_model.h).
absl::StatusOr<Teacher> LoadTeacher(const v1::TeacherSpec& teacher, const v1::DataSpec& data);

// `teacher.classes` (names of `classes`, or their indices, in the order of the network's channels)
// as Teacher::class_order. InvalidArgument names an entry that is no class of the data set, or
// missing.
absl::StatusOr<std::vector<int64_t>> PlanClassOrder(const v1::TeacherSpec& teacher,
                                                    const std::vector<std::string>& classes);

// mIoU (of a classifier top-1 accuracy) in percent on up to 100 validation images, before the first
// target is stored. InvalidArgument names the checkpoint when it has not the data set's number of
// classes. FailedPrecondition when it is below `expect_miou`, or when none is set below
// chance for the number of classes; then the preprocessings of the other known layouts are measured
// too, and the one that does better is named.
absl::StatusOr<double> CheckTeacher(const Teacher& teacher, const v1::TeacherSpec& spec,
                                    const v1::DataSpec& data, const Cancellation* cancellation);

}  // namespace reflux
