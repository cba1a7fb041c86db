// reflux-planner coverage, why-miss: how much of a job is cached, and why the rest is not.
#include <iostream>
#include <memory>

#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "planner/commands.h"
#include "planner/coverage.h"
#include "planner/hashing_bar.h"
#include "planner/planner_flags.h"
#include "planner/teacher_needs.h"

namespace reflux {
namespace {

absl::Status PrintCoverage(const PlannerFlags& flags, bool why) {
  REFLUX_ASSIGN_OR_RETURN(const v1::JobSpec spec, LoadJobFile(flags.job, flags.overrides));
  if (const std::string uncached = WhyUncached(spec); !uncached.empty()) {
    std::cout << (flags.json ? CoverageJson({}) : uncached + "\n");
    return absl::OkStatus();
  }
  // First what fails at once.
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<CacheInventory> inventory,
                          OpenInventory(flags, spec));
  REFLUX_RETURN_IF_ERROR(inventory->Stats().status());
  HashingBar hashing;
  REFLUX_ASSIGN_OR_RETURN(
      const JobNeeds needs,
      PlanJobNeeds(spec, &ReadTeacherInfo, ManifestFolder(flags, spec), hashing.Watch(nullptr)));
  hashing.Finish();
  REFLUX_ASSIGN_OR_RETURN(const Coverage coverage, MeasureCoverage(needs, *inventory));
  std::cout << (flags.json ? CoverageJson(coverage) : CoverageText(coverage, why));
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
  AddCommand(app, "coverage", "How many of the targets that a job needs are cached", false,
             exit_code);
  AddCommand(app, "why-miss",
             "Which fields keep a job's targets from being hits in the nearest set", true,
             exit_code);
}

}  // namespace reflux
