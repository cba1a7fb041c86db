// reflux-planner plan: measures a job, or the jobs of a sweep, for a few minutes, and says what the
// whole of it will cost.
#include <iostream>

#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "planner/commands.h"
#include "planner/make_plan.h"

namespace reflux {
namespace {

absl::Status PrintPlan(const PlanFlags& flags) {
  REFLUX_ASSIGN_OR_RETURN(const JobFile file, LoadJobs(flags.job, flags.overrides));
  if (file.sweep) {
    REFLUX_ASSIGN_OR_RETURN(const SweepPlan plan, MakeSweepPlan(flags, file));
    std::cout << (flags.json ? SweepPlanJson(plan) : SweepPlanText(plan));
  } else {
    REFLUX_ASSIGN_OR_RETURN(const Plan plan, MakePlan(flags, file));
    std::cout << (flags.json ? PlanJson(plan) : PlanText(plan));
  }
  return absl::OkStatus();
}

int ExitCode(const absl::Status& status) {
  if (status.ok()) return kExitDone;
  return absl::IsCancelled(status) ? kExitStopped : Fail(status);
}

}  // namespace

void AddPlanCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App* command = app.add_subcommand("plan",
                                         "Measure a job for a few minutes: bytes, fill time, time "
                                         "a step, does caching pay; of a sweep "
                                         "each variant, and all its jobs together");
  AddPlannerFlags(*command, *flags);
  command->add_option("--steps", flags->steps, "Steps timed in each mode")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command
      ->add_option("--drive-mib", flags->drive_mib,
                   "MiB written to the drive to measure it; more see past its fast cache")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  command
      ->add_option("--view-images", flags->view_images,
                   "Validation images on which maps of whole images are compared with live ones; "
                   "a job that starts compares 32")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command->callback([flags, exit_code] { *exit_code = ExitCode(PrintPlan(*flags)); });
}

}  // namespace reflux
