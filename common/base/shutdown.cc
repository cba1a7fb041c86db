#include "common/base/shutdown.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

namespace reflux {

std::shared_ptr<Cancellation> InstallShutdownSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto shutdown = std::make_shared<Cancellation>();
  std::thread([signals, shutdown] {
    for (int received = 0, signal = 0; sigwait(&signals, &signal) == 0;) {
      if (++received >= 3) _exit(130);
      shutdown->Cancel();
    }
  }).detach();
  return shutdown;
}

}  // namespace reflux
