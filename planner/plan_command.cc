// reflux-planner plan: measures a job for a few minutes, and says what the whole of it will cost.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "common/spec/job_teachers.h"
#include "common/spec/run_folders.h"
#include "distill/data/view.h"
#include "job_plan/data_plan.h"
#include "planner/commands.h"
#include "planner/hashing_bar.h"
#include "planner/measure_job.h"
#include "planner/plan_text.h"
#include "planner/planner_flags.h"
#include "planner/teacher_needs.h"

namespace reflux {
namespace {

// What a job whose views cannot be planned would replay.
constexpr char kSupposedViews[] = "replay: 8";

struct PlanFlags : PlannerFlags {
  int64_t steps = 4;
  int64_t drive_mib = 256;
};

// The job as it is planned: with views that can be cached.
v1::JobSpec PlannedSpec(const v1::JobSpec& spec, std::string& note) {
  v1::JobSpec planned = spec;
  if (const std::string& views = spec.targets().views(); views == "live" || views == "auto") {
    planned.mutable_targets()->set_views(kSupposedViews);
    note = absl::StrCat("the job asks for views: ", views, "; the cache is planned for ",
                        kSupposedViews);
  } else if (spec.targets().cache() == "none") {
    note = "the job asks for no cache; it is planned as if it had one";
  }
  return planned;
}

// Of the views that a run takes, those with some target missing.
int64_t MissingViews(const Coverage& coverage) {
  int64_t missing = 0;
  for (const SpecCoverage& spec : coverage.specs) {
    missing = std::max(missing, spec.targets - spec.held);
  }
  return missing;
}

absl::StatusOr<Plan> MakePlan(const PlanFlags& flags, const v1::JobSpec& job) {
  Plan plan{.name = job.name(), .codec = job.targets().codec()};
  const v1::JobSpec spec = PlannedSpec(job, plan.note);
  if (!NeedsTeacher(spec.losses())) {
    return absl::InvalidArgumentError("No loss reads a teacher: there is nothing to plan.");
  }
  MeasureOptions options{
      .timed_steps = flags.steps,
      .scratch = absl::StrCat(RunFolder(spec, flags.directory), "/plan-", getpid()),
      .manifest_folder = ManifestFolder(flags, spec),
      .drive = {.bytes = flags.drive_mib << 20},
      .stop = InstallShutdownSignals()};
  options.on_phase = [](const std::string& what) { std::cerr << what << std::endl; };
  {
    REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<CacheInventory> inventory,
                            OpenInventory(flags, spec));
    HashingBar hashing;
    REFLUX_ASSIGN_OR_RETURN(const JobNeeds needs,
                            PlanJobNeeds(spec, &ReadTeacherInfo, options.manifest_folder,
                                         hashing.Watch(options.stop.get())));
    hashing.Finish();
    REFLUX_ASSIGN_OR_RETURN(plan.coverage, MeasureCoverage(needs, *inventory));
    REFLUX_ASSIGN_OR_RETURN(const ViewPolicy views, PlanViews(spec));
    plan.job = {.images = needs.images,
                .steps = needs.steps,
                .global_batch = spec.train().global_batch(),
                .replay = views.whole ? 1 : views.replay,
                .views = static_cast<int64_t>(needs.samples.size()),
                .missing_views = MissingViews(plan.coverage),
                .students = std::max(1, spec.run().students())};
  }
  REFLUX_ASSIGN_OR_RETURN(JobMeasurement measurement, MeasureJob(spec, options));
  plan.taps = std::move(measurement.taps);
  plan.measured = measurement.measured;
  plan.drive = measurement.drive;
  plan.codecs = std::move(measurement.codecs);
  plan.views = spec.targets().views();
  plan.forecast = MakeForecast(plan.job, plan.measured);
  plan.codec_advice = AdviseCodec(plan.codec, plan.codecs, plan.job, plan.measured);
  return plan;
}

absl::Status PrintPlan(const PlanFlags& flags) {
  REFLUX_ASSIGN_OR_RETURN(const v1::JobSpec spec, LoadJobFile(flags.job, flags.overrides));
  REFLUX_ASSIGN_OR_RETURN(const Plan plan, MakePlan(flags, spec));
  std::cout << (flags.json ? PlanJson(plan) : PlanText(plan));
  return absl::OkStatus();
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return kExitDone;
  return absl::IsCancelled(status) ? kExitStopped : Fail(status);
}

}  // namespace

void AddPlanCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App* command = app.add_subcommand(
      "plan", "Measure a job for a few minutes: bytes, fill time, time a step, does caching pay");
  AddPlannerFlags(*command, *flags);
  command->add_option("--steps", flags->steps, "Steps timed in each mode")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--drive-mib", flags->drive_mib,
                   "MiB written to the drive to measure it; more see past its fast cache")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  command->callback([flags, exit_code] { *exit_code = ExitCode(PrintPlan(*flags)); });
}

}  // namespace reflux
