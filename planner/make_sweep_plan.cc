#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "planner/make_plan.h"
#include "planner/measure_job.h"
#include "planner/plan_start.h"
#include "planner/step_cost.h"

namespace reflux {
namespace {

// Of teachers at taps that none of `taps` is.
void AddNewTaps(const std::vector<PlanTap>& added, std::vector<PlanTap>& taps) {
  for (const PlanTap& tap : added) {
    const auto same = [&](const PlanTap& other) {
      return other.teacher == tap.teacher && other.spec == tap.spec && other.shape == tap.shape &&
             other.bytes == tap.bytes;
    };
    if (std::none_of(taps.begin(), taps.end(), same)) taps.push_back(tap);
  }
}

// One measurement for all jobs with the same step cost; its index for each job.
struct SweepMeasures {
  std::vector<JobMeasurement> measured;
  std::vector<size_t> of_job;
};

absl::StatusOr<SweepMeasures> MeasureJobs(const PlanStart& begun) {
  SweepMeasures measures;
  std::vector<const PlannedJob*> firsts;
  for (const PlannedJob& job : begun.planned.jobs) {
    const auto same = std::find_if(firsts.begin(), firsts.end(), [&](const PlannedJob* first) {
      return SameStepCost(first->spec, job.spec);
    });
    measures.of_job.push_back(same - firsts.begin());
    if (same != firsts.end()) continue;
    firsts.push_back(&job);
    begun.options.on_phase(job.spec.name() + ":");
    REFLUX_ASSIGN_OR_RETURN(JobMeasurement measured, MeasureJob(job.spec, begun.options));
    begun.machine.ApplyTo(measured.measured);
    measures.measured.push_back(std::move(measured));
  }
  return measures;
}

// The variant; where its runs differ in cost, the job that the row is of.
std::string RowName(const PlannedJobs& planned, const PlannedJob& job, bool alone) {
  if (!alone || job.variant.empty()) {
    return std::string(absl::StripPrefix(job.spec.name(), planned.name + "-"));
  }
  return job.variant;
}

absl::StatusOr<std::vector<SweepRow>> RowsOf(const PlannedJobs& planned,
                                             const SweepMeasures& measures) {
  std::vector<SweepRow> rows;
  std::vector<size_t> first_of;  // the job of each row
  const auto same_row = [&](size_t a, size_t b) {
    const PlannedJob &x = planned.jobs[a], &y = planned.jobs[b];
    return x.variant == y.variant && measures.of_job[a] == measures.of_job[b] && x.steps == y.steps;
  };
  for (size_t i = 0; i < planned.jobs.size(); ++i) {
    size_t row = 0;
    while (row < rows.size() && !same_row(first_of[row], i)) ++row;
    if (row < rows.size()) {
      ++rows[row].jobs;
      rows[row].job.views = std::max(rows[row].job.views, planned.jobs[i].views);
      continue;
    }
    first_of.push_back(i);
    REFLUX_ASSIGN_OR_RETURN(const ForecastJob job, ForecastJobOf(planned.jobs[i]));
    rows.push_back({.reads_teacher = NeedsTeacher(planned.jobs[i].spec.losses()),
                    .job = job,
                    .measured = measures.measured[measures.of_job[i]].measured});
  }
  for (size_t row = 0; row < rows.size(); ++row) {
    const PlannedJob& job = planned.jobs[first_of[row]];
    const auto rows_of_variant = std::count_if(first_of.begin(), first_of.end(), [&](size_t other) {
      return planned.jobs[other].variant == job.variant;
    });
    rows[row].name = RowName(planned, job, rows_of_variant == 1);
  }
  return rows;
}

}  // namespace

absl::StatusOr<SweepPlan> MakeSweepPlan(const PlanFlags& flags, const JobFile& original) {
  JobFile file = original;
  SweepPlan plan{.name = file.name, .jobs = static_cast<int64_t>(file.jobs.size())};
  for (SweepJob& job : file.jobs) {
    const std::string note = SupposeCached(job.spec);
    if (!note.empty()) plan.notes.push_back(absl::StrCat(job.spec.name(), ": ", note));
  }
  REFLUX_ASSIGN_OR_RETURN(PlanStart begun, BeginPlan(flags, file));
  REFLUX_ASSIGN_OR_RETURN(const SweepMeasures measures, MeasureJobs(begun));
  ViewCosts costs;
  for (const JobMeasurement& measured : measures.measured) {
    costs.Merge(measured.costs);
    AddNewTaps(measured.taps, plan.taps);
  }
  plan.machine = begun.machine;
  plan.cost = CostOf(begun.planned.parts, begun.planned.coverage, costs, plan.machine.drive.write);
  REFLUX_ASSIGN_OR_RETURN(plan.rows, RowsOf(begun.planned, measures));
  plan.coverage = std::move(begun.planned.coverage);
  plan.forecast = MakeSweepForecast(plan.rows, plan.cost);
  return plan;
}

}  // namespace reflux
