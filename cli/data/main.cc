// reflux-data: looks at data sets.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "cli/data/check.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"

int main(int argc, char** argv) {
  // Standard output is for results.
  spdlog::set_default_logger(spdlog::stderr_color_mt("reflux-data"));
  spdlog::set_pattern("%^%l%$: %v");
  CLI::App app("Looks at data sets.", "reflux data");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(reflux::BuildVersion()));
  app.footer(
      "Examples:\n"
      "  reflux data check job.yaml --overlay labels.png\n"
      "  reflux data check --format cityscapes --root /data/cityscapes\n"
      "Exit codes: 0 nothing is wrong, 1 something is, 2 wrong usage.");
  int exit_code = reflux::kExitDone;
  reflux::AddCheckCommand(app, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  return exit_code;
}
