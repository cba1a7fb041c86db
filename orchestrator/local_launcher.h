// Processes of this machine, each under reflux-supervise.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "orchestrator/launcher.h"

namespace reflux {

struct LocalLauncherOptions {
  std::string supervisor;  // path of reflux-supervise
  std::string lease_file;  // touched as long as this launcher lives
  absl::Duration orphan_timeout = absl::Minutes(10);
  absl::Duration grace = absl::Seconds(30);
};

// Creates the lease file and its folder.
absl::StatusOr<std::unique_ptr<Launcher>> MakeLocalLauncher(const LocalLauncherOptions& options);

}  // namespace reflux
