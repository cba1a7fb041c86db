// What the plans of a job and of a sweep begin with.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "planner/forecast.h"
#include "planner/make_plan.h"
#include "planner/measure_job.h"
#include "planner/measure_machine.h"
#include "planner/planned_jobs.h"
#include "planner/scratch_folder.h"
#include "reflux/v1/config.pb.h"

namespace reflux {

// Makes the job one whose views can be cached; what that changes, as a sentence.
std::string SupposeCached(v1::JobSpec& spec);

struct PlanStart {
  std::unique_ptr<ScratchFolder> scratch;
  MeasureOptions options;
  PlannedJobs planned;
  MachineMeasure machine;
};

// Lists what the jobs need and measures the machine of their cache, as far as that is this one.
absl::StatusOr<PlanStart> BeginPlan(const PlanFlags& flags, const JobFile& file);

// `missing_views` stays 0.
absl::StatusOr<ForecastJob> ForecastJobOf(const PlannedJob& job);

}  // namespace reflux
