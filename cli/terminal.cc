#include "cli/terminal.h"

#include "absl/time/clock.h"
#include "common/base/exit_codes.h"
#include "common/base/mutex.h"

namespace reflux {

int Fail(Terminal& terminal, const absl::Status& status) {
  terminal.err << "reflux: " << status.message() << std::endl;
  return absl::IsCancelled(status) ? kExitStopped : kExitFailed;
}

bool WaitUnlessInterrupted(Terminal& terminal, absl::Duration duration) {
  Mutex mutex;
  CondVar changed;
  const auto registration = terminal.interrupted->OnCancel([&] {
    MutexLock lock(mutex);
    changed.NotifyAll();
  });
  const absl::Time deadline = absl::Now() + duration;
  MutexLock lock(mutex);
  while (!terminal.interrupted->cancelled() && changed.WaitUntil(mutex, deadline)) {
  }
  return !terminal.interrupted->cancelled();
}

}  // namespace reflux
