// The seam between the orchestrator and what runs its processes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace reflux {

struct LaunchSpec {
  std::string launch_id;   // unique for ever; stored by the caller before Start
  std::string record_dir;  // absolute; where the process leaves its records
  std::string log_file;
  std::string program;  // absolute path
  std::vector<std::string> arguments;
};

struct ProcessExit {
  std::string launch_id;
  int exit_code = -1;  // common/base/exit_codes.h; -1 when ended by a signal or lost
  int signal = 0;
  // "exited", "stopped", "orphaned"; "lost": it ended without leaving a status; "never started".
  std::string cause;
};

enum class StopMode {
  kGraceful,  // SIGTERM, time to write a checkpoint, SIGKILL
  kHurried,   // SIGTERM, two seconds, SIGKILL: its generation is lost anyway
  kKill,      // SIGKILL
};

// Thread-safe. Processes outlive the launcher and are adopted by the next.
class Launcher {
 public:
  virtual ~Launcher() = default;
  // Set once, before anything else. Called once for each launch that was started or adopted, from a
  // thread of the launcher, when nothing of the process is left.
  virtual void SetOnExit(std::function<void(const ProcessExit&)> on_exit) = 0;
  // NotFound or PermissionDenied when the program cannot be run; then on_exit is not called.
  virtual absl::Status Start(const LaunchSpec& launch) = 0;
  // Takes over a launch of an earlier orchestrator, living, ended or never begun.
  virtual void Adopt(const std::string& launch_id, const std::string& record_dir) = 0;
  // Does not wait. No-op for a launch that has ended.
  virtual void Stop(const std::string& launch_id, StopMode mode) = 0;
};

}  // namespace reflux
