// Runs one program so that nothing of it is ever left behind.
//
// - The program runs in a session of its own; everything that it starts becomes a descendant of the
//   supervisor (child subreaper) and is killed with it.
// - A record is on disk before the program starts and its exit status after
//   (orchestrator/process/process_record.h).
// - SIGTERM or SIGINT: SIGTERM to the program's group, SIGKILL after `grace`. SIGUSR1: the same
// with
//   at most `hurried_grace`. SIGQUIT: SIGKILL at once.
// - The lease file's mtime is renewed by the orchestrator; unchanged for `orphan_timeout` (by the
//   monotonic clock, so that setting the clock harms nobody), the program is stopped as by SIGTERM.
// - If the supervisor itself is killed, its child gets SIGKILL from the kernel.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace reflux {

struct SupervisorOptions {
  std::string record;  // path without suffix; its last component is the launch id
  std::string lease_file;
  std::string log_file;  // stdout and stderr of the program are appended
  absl::Duration orphan_timeout = absl::Minutes(10);
  absl::Duration grace = absl::Seconds(30);
  absl::Duration hurried_grace = absl::Seconds(2);
  std::vector<std::string> command;  // program and arguments

  absl::Status Validate() const;
};

// Blocks until the program and all its descendants have ended. Changes the process for good
// (session, signal mask, output), so it is called from main only, by a process with one thread. The
// program's own failure is not an error: it is in the exit record. A program that cannot be
// executed exits with kPermanentFailure.
absl::Status Supervise(const SupervisorOptions& options);

}  // namespace reflux
