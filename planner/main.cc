// reflux-planner: what a job needs of its teachers, what of it is cached, and what it will cost.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <string>

#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "planner/commands.h"

namespace reflux {

int Fail(const absl::Status& status) {
  spdlog::error("{}", std::string(status.message()));
  return kExitFailed;
}

}  // namespace reflux

int main(int argc, char** argv) {
  // Standard output is for results.
  spdlog::set_default_logger(spdlog::stderr_color_mt("reflux-planner"));
  spdlog::set_pattern("%^%l%$: %v");
  CLI::App app("What a job needs of its teachers, what of it is cached.", "reflux-planner");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(reflux::BuildVersion()));
  app.footer(
      "Run as `reflux targets coverage`, `reflux targets why-miss`, `reflux fill`, `reflux plan`.\n"
      "Exit codes: 0 done, 1 failed, 2 bad command line, 4 stopped with Ctrl-C before the end, 130 "
      "ended at once by the third Ctrl-C.");
  int exit_code = reflux::kExitDone;
  reflux::AddCoverageCommands(app, &exit_code);
  reflux::AddFillCommand(app, &exit_code);
  reflux::AddPlanCommand(app, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  return exit_code;
}
