#include "common/base/shutdown.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>
#include <utility>

namespace reflux {

std::shared_ptr<Cancellation> InstallShutdownSignals() { return InstallShutdownSignals(nullptr); }

std::shared_ptr<Cancellation> InstallShutdownSignals(std::function<void()> on_hangup) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (on_hangup) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto shutdown = std::make_shared<Cancellation>();
  std::thread([signals, shutdown, on_hangup = std::move(on_hangup)] {
    for (int received = 0, signal = 0; sigwait(&signals, &signal) == 0;) {
      if (signal == SIGHUP) {
        on_hangup();
        continue;
      }
      if (++received >= 3) _exit(130);
      shutdown->Cancel();
    }
  }).detach();
  return shutdown;
}

}  // namespace reflux
