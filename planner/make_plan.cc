#include "planner/make_plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "common/base/status_macros.h"
#include "job_plan/view_plan.h"
#include "planner/advice.h"
#include "planner/measure_job.h"
#include "planner/plan_start.h"

namespace reflux {
namespace {

// Of the views that the run takes those with some target missing, and what of such a view is.
void SetMissing(const PlannedJobs& planned, const NeedsCost& cost, const Measured& m,
                const ViewCosts& costs, ForecastJob& job) {
  double seconds = 0;
  for (size_t i = 0; i < planned.parts.size(); ++i) {
    const NeedsPart& part = planned.parts[i];
    const int64_t missing = planned.coverage.parts[i].missing_samples;
    job.missing_views = std::max(job.missing_views, missing);
    seconds += static_cast<double>(missing) *
               costs.Seconds(part.teacher.info.identity, part.samples.front().view);
  }
  if (job.missing_views == 0) return;
  const auto views = static_cast<double>(job.missing_views);
  job.missing_time = std::min(1.0, seconds / (views * m.view_seconds));
  job.missing_bytes = std::min(1.0, cost.missing_bytes / (views * m.view_bytes));
}

// What `auto` would choose, were the job's own targets not there.
Advice AdviseViews(const v1::JobSpec& spec, const Plan& plan, const JobMeasurement& measurement) {
  const double draws = static_cast<double>(plan.job.steps * plan.job.global_batch) /
                       static_cast<double>(plan.job.images);
  const double held = plan.forecast.cache_bytes - plan.forecast.missing_bytes;
  const KindCosts& kinds = measurement.kinds;
  ViewFacts facts{.images = plan.job.images,
                  .draws = draws,
                  .free_bytes = std::llround(plan.measured.free_disk_bytes + held),
                  .bytes_of_view = std::llround(kinds.replayed.bytes),
                  .bytes_of_whole = kinds.whole.has_value() ? std::llround(kinds.whole->bytes) : 0,
                  .tolerance = spec.targets().whole_tolerance()};
  absl::StatusOr<ViewComparison> comparison = measurement.comparison;
  if (spec.targets().reduce() == "auto" && measurement.auto_bytes < measurement.none_bytes) {
    comparison = absl::FailedPreconditionError("the job reduces maps at the teacher");
  }
  const ViewDecision decision = ChooseViews(facts, comparison);
  return {decision.choice.ToString(), decision.why};
}

// How near maps of whole images come to live ones, or why there are none.
std::string WholeText(const absl::StatusOr<ViewComparison>& comparison) {
  return comparison.ok() ? Describe(*comparison) : std::string(comparison.status().message());
}

void Advise(const v1::JobSpec& spec, const JobMeasurement& measurement, Plan& plan) {
  plan.view_rows = ForecastViews(plan.job, plan.measured, measurement.kinds);
  plan.whole = WholeText(measurement.comparison);
  plan.view_advice = AdviseViews(spec, plan, measurement);
  plan.reduction_advice = AdviseReduction(measurement.none_bytes, measurement.auto_bytes,
                                          absl::StartsWith(plan.view_advice.name, "whole"));
  plan.codec_advice = AdviseCodec(plan.codec, plan.codecs, plan.job, plan.measured);
}

}  // namespace

absl::StatusOr<Plan> MakePlan(const PlanFlags& flags, const JobFile& original) {
  JobFile file = original;
  v1::JobSpec& spec = file.jobs.front().spec;
  Plan plan{.name = file.name, .codec = spec.targets().codec()};
  plan.note = SupposeCached(spec);
  plan.views = spec.targets().views();
  REFLUX_ASSIGN_OR_RETURN(PlanStart begun, BeginPlan(flags, file));
  REFLUX_ASSIGN_OR_RETURN(JobMeasurement measurement, MeasureJob(spec, begun.options));
  begun.machine.ApplyTo(measurement.measured);
  plan.taps = measurement.taps;
  plan.measured = measurement.measured;
  plan.drive = begun.machine.drive;
  plan.codecs = measurement.codecs;
  REFLUX_ASSIGN_OR_RETURN(plan.job, ForecastJobOf(begun.planned.jobs.front()));
  const NeedsCost cost = CostOf(begun.planned.parts, begun.planned.coverage, measurement.costs,
                                begun.machine.drive.write);
  SetMissing(begun.planned, cost, plan.measured, measurement.costs, plan.job);
  plan.coverage = std::move(begun.planned.coverage);
  plan.forecast = MakeForecast(plan.job, plan.measured);
  Advise(spec, measurement, plan);
  return plan;
}

}  // namespace reflux
