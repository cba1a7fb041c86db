// Measures a job on this machine: a few steps of the real trainer in each mode, the teacher alone,
// the drive, and every codec on real maps.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "planner/drive_speed.h"
#include "planner/forecast.h"
#include "planner/job_needs.h"
#include "planner/plan_text.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

struct MeasureOptions {
  int64_t timed_steps = 4;      // of each mode, after a few that are not timed
  std::string scratch;          // folder for a temporary cache, on the cache's drive; removed
  std::string manifest_folder;  // distill/data/manifest.h
  DriveSpeedOptions drive;
  std::shared_ptr<Cancellation> stop;                     // may be null
  std::function<void(const std::string& what)> on_phase;  // what begins; may be empty
};

struct JobMeasurement {
  Measured measured;
  DriveSpeed drive;
  std::vector<PlanTap> taps;
  std::vector<CodecMeasure> codecs;
  int64_t timed_steps = 0;
};

// `spec` replays views (its `targets.views` is not live). The teacher's mIoU is not checked,
// nothing of the job's own cache is touched. One student of the job is measured, with its share of
// the batch, alone on the machine. Errors: those of the plan, the data set, the teacher, the
// trainer; Cancelled; Unimplemented for several teachers.
absl::StatusOr<JobMeasurement> MeasureJob(const v1::JobSpec& spec, const MeasureOptions& options);

}  // namespace reflux
