// From a job file to everything that the job asks of its teachers: the real networks and losses are
// planned, so that what is listed is what a student's batches ask for.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "distill/data/manifest.h"
#include "planner/job_needs.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// Describes the teacher `name` of the job.
using TeacherInfoFn =
    std::function<absl::StatusOr<TeacherInfo>(const std::string& name, const v1::JobSpec& job)>;

// From its checkpoints, on the CPU; nothing is computed but their digests.
absl::StatusOr<TeacherInfo> ReadTeacherInfo(const std::string& name, const v1::JobSpec& job);

// `manifest_folder` keeps the digests of the images (distill/data/manifest.h). Errors: those of the
// plan (job_plan/), of the data set, of `describe`; Cancelled when `watch.stop` fires.
absl::StatusOr<JobNeeds> PlanJobNeeds(const v1::JobSpec& spec, const TeacherInfoFn& describe,
                                      const std::string& manifest_folder,
                                      const HashWatch& watch = {});

}  // namespace reflux
