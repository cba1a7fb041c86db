// reflux-supervise: started by the orchestrator's local launcher around every process.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "orchestrator/supervise/supervisor.h"

int main(int argc, char** argv) {
  CLI::App app{"Runs one program and leaves nothing of it behind. Started by reflux-orchestrator."};
  reflux::SupervisorOptions options;
  double orphan_timeout = 600, grace = 30;
  app.set_version_flag("--version", std::string(reflux::BuildVersion()));
  app.add_option("--record", options.record,
                 "Path of the process record without suffix, DIR/LAUNCH_ID")
      ->required();
  app.add_option("--lease", options.lease_file, "File that the orchestrator touches")->required();
  app.add_option("--log", options.log_file, "Output of the program is appended here")->required();
  app.add_option("--orphan-timeout", orphan_timeout,
                 "Seconds without a touched lease after which the program is stopped");
  app.add_option("--grace", grace, "Seconds between SIGTERM and SIGKILL");
  app.add_option("command", options.command, "Program and arguments, after --")->required();
  app.positionals_at_end();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  options.orphan_timeout = absl::Seconds(orphan_timeout);
  options.grace = absl::Seconds(grace);
  const absl::Status status = reflux::Supervise(options);
  if (status.ok()) return reflux::kExitDone;
  std::fprintf(stderr, "reflux-supervise: %s\n", status.ToString().c_str());
  return absl::IsInvalidArgument(status) ? reflux::kExitUsage : reflux::kExitFailed;
}
