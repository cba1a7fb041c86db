// A teacher of the job as a source in this process: one network, or an ensemble of several.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/targets/target.h"
#include "distill/teacher/local_source.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

struct OpenedTeacher {
  std::unique_ptr<TargetSource> source;
  TeacherIdentity identity;
  double miou = -1;        // of an ensemble: its worst member's
  bool bit_exact = false;  // exact numerics on the CPU: the same input gives the same bits
};

struct OpenTeacherOptions {
  ReadImageFn read_image;
  ReadLabelFn read_label;  // as LocalSourceOptions
  LocalSourceMetrics metrics;
  int runners = 1;                             // forwards at once
  bool evaluate = true;                        // false: only to describe it; miou is negative then
  const Cancellation* cancellation = nullptr;  // of the evaluation
};

// `name` is a key of `job.teachers()`. Loads, evaluates and logs each network (teacher_plan.h),
// which takes a while. The members of an ensemble run with the ensemble's numerics, on its device.
// Errors: NotFound for the name, those of LoadTeacher and CheckTeacher, which say whose they are
// where the job has several teachers.
absl::StatusOr<OpenedTeacher> OpenTeacher(const v1::JobSpec& job, const std::string& name,
                                          const OpenTeacherOptions& options);

}  // namespace reflux
