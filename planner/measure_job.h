// Measures a job on this machine: a few steps of the real trainer in each mode, its teachers alone,
// and for the plan of a single job what it could use instead: codecs, views, reductions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "distill/evaluation/view_comparison.h"
#include "planner/advice.h"
#include "planner/forecast.h"
#include "planner/metered_teachers.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

struct MeasureOptions {
  int64_t timed_steps = 4;  // of each mode, after a few that are not timed
  // Also the student alone, every codec, other views and reductions.
  bool alternatives = true;
  int64_t compared_images = 32;        // validation images on which views are compared
  std::string scratch;                 // folder for temporary caches, on the cache's drive; removed
  std::string manifest_folder;         // distill/data/manifest.h
  std::shared_ptr<Cancellation> stop;  // may be null
  std::function<void(const std::string& what)> on_phase;  // what begins; may be empty
};

struct JobMeasurement {
  Measured measured;  // sums over the teachers; without what MeasureMachine tells
  std::vector<PlanTap> taps;
  ViewCosts costs;
  // With `alternatives`:
  std::vector<CodecMeasure> codecs;
  KindCosts kinds;
  // Of maps of whole images with live ones; why there is none, where the job cannot have `whole`.
  absl::StatusOr<ViewComparison> comparison = absl::UnknownError("not measured");
  double none_bytes = 0, auto_bytes = 0;  // of a view, with `targets.reduce` none and auto
};

// `spec` replays views or whole images (its `targets.views` is neither live nor auto). The
// teachers' mIoU is not checked, nothing of the job's own cache is touched. One student of the job
// is measured, with its share of the batch, alone on the machine. A job without teachers has steps
// of one kind, which stand for every mode. Errors: those of the plan, the data set, the teachers,
// the trainer; Cancelled.
absl::StatusOr<JobMeasurement> MeasureJob(const v1::JobSpec& spec, const MeasureOptions& options);

}  // namespace reflux
