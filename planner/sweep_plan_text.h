// What `reflux plan` prints of a sweep. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "planner/coverage.h"
#include "planner/measure_machine.h"
#include "planner/plan_text.h"
#include "planner/sweep_forecast.h"

namespace reflux {

struct SweepPlan {
  std::string name;
  int64_t jobs = 0;
  Coverage coverage;          // of all jobs together
  std::vector<PlanTap> taps;  // of a view, by teacher
  NeedsCost cost;
  MachineMeasure machine;
  std::vector<SweepRow> rows;
  SweepForecast forecast;
  std::vector<std::string> notes;  // jobs that are planned with other views than they ask for
};

std::string SweepPlanText(const SweepPlan& plan);
std::string SweepPlanJson(const SweepPlan& plan);

// About the drive, the students and the runs, before those of the forecast.
std::vector<std::string> SweepPlanWarnings(const SweepPlan& plan);

}  // namespace reflux
