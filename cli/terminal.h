// Where a command talks: streams, whether a person reads them, and Ctrl-C.
#pragma once

#include <memory>
#include <ostream>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/cancellation.h"

namespace reflux {

// What every command gets. Commands return an exit code (common/base/exit_codes.h) and print
// results to `out`, everything else to `err`.
struct Terminal {
  std::ostream& out;
  std::ostream& err;
  bool interactive = false;  // `out` is a terminal: bars instead of lines
  bool json = false;
  // Ctrl-C, for commands that wait.
  std::shared_ptr<Cancellation> interrupted = std::make_shared<Cancellation>();
};

// Prints "reflux: <message>" and returns kExitFailed, or kExitStopped when that is Ctrl-C (Cancelled).
int Fail(Terminal& terminal, const absl::Status& status);

// Waits `duration` or until Ctrl-C; false then.
bool WaitUnlessInterrupted(Terminal& terminal, absl::Duration duration);

}  // namespace reflux
