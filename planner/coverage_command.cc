// reflux-planner coverage, why-miss: how much of a job is cached, and why the rest is not.
#include <iostream>
#include <memory>

#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "planner/commands.h"
#include "planner/planned_jobs.h"

namespace reflux {
namespace {

std::string Text(const PlannedJobs& planned, const PlannerFlags& flags, bool why) {
  if (!planned.sweep) {
    return flags.json ? CoverageJson(planned.coverage) : CoverageText(planned.coverage, why);
  }
  std::vector<JobCoverage> jobs;
  for (const PlannedJob& job : planned.jobs) {
    jobs.push_back({.job = job.spec.name(), .targets = job.targets, .held = job.held});
  }
  return flags.json ? SweepCoverageJson(planned.coverage, jobs)
                    : SweepCoverageText(planned.coverage, jobs, why);
}

absl::Status PrintCoverage(const PlannerFlags& flags, bool why) {
  REFLUX_ASSIGN_OR_RETURN(const JobFile file, LoadJobs(flags.job, flags.overrides));
  if (const std::string uncached = WhyUncached(file); !uncached.empty()) {
    std::cout << (flags.json ? CoverageJson({}) : uncached + "\n");
    return absl::OkStatus();
  }
  REFLUX_ASSIGN_OR_RETURN(const PlannedJobs planned,
                          PlanJobs(file, flags, /*suppose_cached=*/false, nullptr));
  std::cout << Text(planned, flags, why);
  return absl::OkStatus();
}

void AddCommand(CLI::App& app, const std::string& name, const std::string& help, bool why,
                int* exit_code) {
  auto flags = std::make_shared<PlannerFlags>();
  CLI::App* command = app.add_subcommand(name, help);
  AddPlannerFlags(*command, *flags);
  command->callback([flags, why, exit_code] {
    const absl::Status status = PrintCoverage(*flags, why);
    *exit_code = status.ok() ? kExitDone : Fail(status);
  });
}

}  // namespace

void AddCoverageCommands(CLI::App& app, int* exit_code) {
  AddCommand(app, "coverage",
             "How many of the targets that a job needs, or the jobs of a sweep, are cached", false,
             exit_code);
  AddCommand(app, "why-miss",
             "Which fields keep a job's targets from being hits in the nearest set", true,
             exit_code);
}

}  // namespace reflux
