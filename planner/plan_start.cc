#include "planner/plan_start.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "common/spec/job_teachers.h"
#include "common/spec/run_folders.h"
#include "distill/data/view.h"
#include "job_plan/data_plan.h"

namespace reflux {
namespace {

// What a job whose views cannot be planned would replay.
constexpr char kSupposedViews[] = "replay: 8";

}  // namespace

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

absl::StatusOr<PlanStart> BeginPlan(const PlanFlags& flags, const JobFile& file) {
  PlanStart begun;
  begun.options.timed_steps = flags.steps;
  begun.options.alternatives = !file.sweep;
  begun.options.compared_images = flags.view_images;
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
  if (begun.planned.free_in_servers.has_value()) {
    begun.machine.free_disk_bytes = *begun.planned.free_in_servers;
    return begun;
  }
  begun.options.on_phase("measuring the drive");
  REFLUX_ASSIGN_OR_RETURN(begun.machine,
                          MeasureMachine(begun.scratch->path(), {.bytes = flags.drive_mib << 20}));
  return begun;
}

absl::StatusOr<ForecastJob> ForecastJobOf(const PlannedJob& job) {
  REFLUX_ASSIGN_OR_RETURN(const ViewPolicy views, PlanViews(job.spec));
  return ForecastJob{.images = job.images,
                     .steps = job.steps,
                     .global_batch = job.spec.train().global_batch(),
                     .replay = views.whole ? 1 : views.replay,
                     .views = job.views,
                     .students = std::max(1, job.spec.run().students())};
}

}  // namespace reflux
