// The seconds of a step of the real trainer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "reflux/v1/config.pb.h"
#include "student_worker/target_path.h"

namespace reflux {

// The job with the steps that are timed, one student's share of the batch, and nothing else. How
// good maps of whole images are is not asked: the job finds that out when it starts.
v1::JobSpec TimedSpec(const v1::JobSpec& spec, int64_t timed_steps);

struct TimedRun {
  const v1::JobSpec& spec;  // as TimedSpec makes it
  std::map<std::string, TeacherAccess> sources;
  std::string folder;           // of the run; removed first, made anew
  std::string manifest_folder;  // distill/data/manifest.h
  int64_t timed_steps = 4;
  std::shared_ptr<Cancellation> stop;  // may be null
};

// Mean of the timed steps, after a few that are not. Blocks. Errors: those of the trainer;
// Cancelled when `stop` fires before the last timed step.
absl::StatusOr<double> TimeSteps(const TimedRun& run);

}  // namespace reflux
