// SIGTERM and SIGINT as a Cancellation, SIGHUP as a call.
#pragma once

#include <functional>
#include <memory>

#include "common/base/cancellation.h"

namespace reflux {

// Blocks SIGTERM and SIGINT in the calling thread (call it first in main: later threads inherit
// that) and starts a thread that cancels on the first and exits with 130 on the third.
std::shared_ptr<Cancellation> InstallShutdownSignals();
// The same; SIGHUP is blocked too, and runs `on_hangup` in that thread.
std::shared_ptr<Cancellation> InstallShutdownSignals(std::function<void()> on_hangup);

}  // namespace reflux
