// `reflux watch`: a job until it ends.
#pragma once

#include <string>

#include "absl/time/time.h"
#include "cli/terminal.h"

namespace reflux {

struct WatchOptions {
  // On a pipe: at most one line of progress in this time, besides one at each change of state.
  absl::Duration line_interval = absl::Seconds(10);
  // How often, and with what pause, to try again when the orchestrator goes away meanwhile.
  int retries = 60;
  absl::Duration retry_pause = absl::Seconds(1);
};

// On a terminal a bar with rate and time left; otherwise plain lines; with --json each update as
// one line of JSON. Returns kExitDone when the job succeeded and kExitFailed otherwise, also after
// Ctrl-C, which leaves the job running.
int Watch(Terminal& terminal, const std::string& endpoint, const std::string& job_id,
          const WatchOptions& options = {});

}  // namespace reflux
