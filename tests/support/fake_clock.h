// A clock that moves only when a test says so. Thread-safe.
#pragma once

#include "absl/time/clock.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace reflux {

class FakeClock : public Clock {
 public:
  absl::Time Now() const override {
    MutexLock lock(mutex_);
    return now_;
  }
  absl::Duration Uptime() const override {
    MutexLock lock(mutex_);
    return uptime_;
  }
  // Returns for no reason after 2 ms of the machine's time, so that nobody need be woken who may be
  // gone by then: who waits looks at this clock again.
  void WaitUntilUptime(CondVar& condition, Mutex& mutex, absl::Duration deadline) const override
      REFLUX_REQUIRES(mutex) {
    {
      MutexLock lock(mutex_);
      if (uptime_ >= deadline) return;
      ++waits_;
      changed_.NotifyAll();
    }
    condition.WaitFor(mutex, absl::Milliseconds(2));
  }
  // Blocks until somebody has begun to wait since this was called.
  void AwaitWaiter() const {
    MutexLock lock(mutex_);
    const int64_t before = waits_;
    while (waits_ == before) changed_.Wait(mutex_);
  }
  // Time passes.
  void Advance(absl::Duration by) {
    MutexLock lock(mutex_);
    now_ += by;
    uptime_ += by;
  }
  // Somebody sets the machine's clock.
  void Jump(absl::Duration by) {
    MutexLock lock(mutex_);
    now_ += by;
  }

 private:
  mutable Mutex mutex_;
  mutable CondVar changed_;
  mutable int64_t waits_ REFLUX_GUARDED_BY(mutex_) = 0;
  absl::Time now_ REFLUX_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1'700'000'000);
  absl::Duration uptime_ REFLUX_GUARDED_BY(mutex_) = absl::Hours(1);
};

}  // namespace reflux
