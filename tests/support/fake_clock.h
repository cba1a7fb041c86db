// A clock that moves only when a test says so. Thread-safe.
#pragma once

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
  absl::Time now_ REFLUX_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1'700'000'000);
  absl::Duration uptime_ REFLUX_GUARDED_BY(mutex_) = absl::Hours(1);
};

}  // namespace reflux
