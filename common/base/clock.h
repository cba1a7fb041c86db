// Time as components see it, so that tests can choose it. Implementations are thread-safe.
#pragma once

#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace reflux {

class Clock {
 public:
  virtual ~Clock() = default;

  // The civil time: what people read and what is kept on disk. It jumps when the machine's clock is
  // set.
  virtual absl::Time Now() const = 0;

  // Since an arbitrary moment. Runs on through suspension, never jumps: what leases and pauses are
  // measured by within a process.
  virtual absl::Duration Uptime() const = 0;

  // As CondVar::WaitUntil, with `deadline` by Uptime(): returns when notified, when it has come, or
  // for no reason. The caller holds `mutex`.
  virtual void WaitUntilUptime(CondVar& condition, Mutex& mutex, absl::Duration deadline) const
      REFLUX_REQUIRES(mutex) = 0;
};

// The machine's; lives for ever.
const Clock& SystemClock();

}  // namespace reflux
