#include "planner/make_plan.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "common/spec/run_folders.h"
#include "distill/data/view.h"
#include "job_plan/data_plan.h"
#include "planner/measure_job.h"
#include "planner/planned_jobs.h"
#include "planner/scratch_folder.h"
#include "planner/step_cost.h"

namespace reflux {
namespace {

// What a job whose views cannot be planned would replay.
constexpr char kSupposedViews[] = "replay: 8";

// Makes the job one whose views can be cached; what that changes, as a sentence.
std::string SupposeCached(v1::JobSpec& spec) {
  if (!NeedsTeacher(spec.losses())) return "";
  if (const std::string views = spec.targets().views(); views == "live" || views == "auto") {
    spec.mutable_targets()->set_views(kSupposedViews);
    return absl::StrCat("the job asks for views: ", views, "; the cache is planned for ",
                        kSupposedViews);
  }
  return spec.targets().cache() == "none"
             ? "the job asks for no cache; it is planned as if it had one"
             : "";
}

// What a plan of either kind begins with.
struct Measuring {
  std::unique_ptr<ScratchFolder> scratch;
  MeasureOptions options;
  PlannedJobs planned;
  MachineMeasure machine;
};

absl::StatusOr<Measuring> Begin(const PlanFlags& flags, const JobFile& file) {
  Measuring begun;
  begun.options.timed_steps = flags.steps;
  begun.options.alone_and_codecs = !file.sweep;
  begun.options.manifest_folder = ManifestFolder(flags, file.name);
  begun.options.stop = InstallShutdownSignals();
  begun.options.on_phase = [](const std::string& what) { std::cerr << what << std::endl; };
  REFLUX_ASSIGN_OR_RETURN(begun.planned,
                          PlanJobs(file, flags, /*suppose_cached=*/true, begun.options.stop.get()));
  if (begun.planned.parts.empty()) {
    return absl::InvalidArgumentError("No loss reads a teacher: there is nothing to plan.");
  }
  REFLUX_ASSIGN_OR_RETURN(
      begun.scratch, ScratchFolder::Create(
                         absl::StrCat(RunFolder(file.name, flags.directory), "/plan-", getpid())));
  begun.options.scratch = begun.scratch->path() + "/job";
  begun.options.on_phase("measuring the drive");
  REFLUX_ASSIGN_OR_RETURN(begun.machine,
                          MeasureMachine(begun.scratch->path(), {.bytes = flags.drive_mib << 20}));
  return begun;
}

absl::StatusOr<ForecastJob> JobOf(const PlannedJob& job) {
  REFLUX_ASSIGN_OR_RETURN(const ViewPolicy views, PlanViews(job.spec));
  return ForecastJob{.images = job.images,
                     .steps = job.steps,
                     .global_batch = job.spec.train().global_batch(),
                     .replay = views.whole ? 1 : views.replay,
                     .views = job.views,
                     .students = std::max(1, job.spec.run().students())};
}

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

std::vector<PlanTap> TapsOf(const JobMeasurement& measurement) {
  std::vector<PlanTap> taps;
  for (const TeacherMeasure& teacher : measurement.teachers) {
    taps.insert(taps.end(), teacher.taps.begin(), teacher.taps.end());
  }
  return taps;
}

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

absl::StatusOr<SweepMeasures> MeasureJobs(const Measuring& begun) {
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
    REFLUX_ASSIGN_OR_RETURN(const ForecastJob job, JobOf(planned.jobs[i]));
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

absl::StatusOr<Plan> MakePlan(const PlanFlags& flags, const JobFile& original) {
  JobFile file = original;
  v1::JobSpec& spec = file.jobs.front().spec;
  Plan plan{.name = file.name, .codec = spec.targets().codec()};
  plan.note = SupposeCached(spec);
  plan.views = spec.targets().views();
  REFLUX_ASSIGN_OR_RETURN(Measuring begun, Begin(flags, file));
  REFLUX_ASSIGN_OR_RETURN(JobMeasurement measurement, MeasureJob(spec, begun.options));
  begun.machine.ApplyTo(measurement.measured);
  plan.taps = TapsOf(measurement);
  plan.measured = measurement.measured;
  plan.drive = begun.machine.drive;
  plan.codecs = std::move(measurement.codecs);
  REFLUX_ASSIGN_OR_RETURN(plan.job, JobOf(begun.planned.jobs.front()));
  const NeedsCost cost = CostOf(begun.planned.parts, begun.planned.coverage, measurement.costs,
                                begun.machine.drive.write);
  SetMissing(begun.planned, cost, plan.measured, measurement.costs, plan.job);
  plan.coverage = std::move(begun.planned.coverage);
  plan.forecast = MakeForecast(plan.job, plan.measured);
  plan.codec_advice = AdviseCodec(plan.codec, plan.codecs, plan.job, plan.measured);
  return plan;
}

absl::StatusOr<SweepPlan> MakeSweepPlan(const PlanFlags& flags, const JobFile& original) {
  JobFile file = original;
  SweepPlan plan{.name = file.name, .jobs = static_cast<int64_t>(file.jobs.size())};
  for (SweepJob& job : file.jobs) {
    const std::string note = SupposeCached(job.spec);
    if (!note.empty()) plan.notes.push_back(absl::StrCat(job.spec.name(), ": ", note));
  }
  REFLUX_ASSIGN_OR_RETURN(Measuring begun, Begin(flags, file));
  REFLUX_ASSIGN_OR_RETURN(const SweepMeasures measures, MeasureJobs(begun));
  ViewCosts costs;
  for (const JobMeasurement& measured : measures.measured) {
    costs.Merge(measured.costs);
    AddNewTaps(TapsOf(measured), plan.taps);
  }
  plan.machine = begun.machine;
  plan.cost = CostOf(begun.planned.parts, begun.planned.coverage, costs, plan.machine.drive.write);
  REFLUX_ASSIGN_OR_RETURN(plan.rows, RowsOf(begun.planned, measures));
  plan.coverage = std::move(begun.planned.coverage);
  plan.forecast = MakeSweepForecast(plan.rows, plan.cost);
  return plan;
}

}  // namespace reflux
