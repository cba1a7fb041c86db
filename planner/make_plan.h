// From a job file or a sweep to its plan: what is needed and cached, what was measured of it on
// this machine, and what follows from that.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "common/spec/sweep_jobs.h"
#include "planner/plan_text.h"
#include "planner/planner_flags.h"
#include "planner/sweep_plan_text.h"

namespace reflux {

struct PlanFlags : PlannerFlags {
  int64_t steps = 4;
  int64_t drive_mib = 256;
  int64_t view_images = 32;  // validation images on which views are compared
};

// Both take minutes, print what begins to standard error and take over the shutdown signals.
// Errors: those of PlanJobs, MeasureJob and MeasureMachine; InvalidArgument when no loss reads a
// teacher; Cancelled after a signal.
absl::StatusOr<Plan> MakePlan(const PlanFlags& flags, const JobFile& file);

// Jobs with the same step cost (step_cost.h) are measured once.
absl::StatusOr<SweepPlan> MakeSweepPlan(const PlanFlags& flags, const JobFile& file);

}  // namespace reflux
