#include "common/base/clock.h"

#include <time.h>

#include "absl/time/clock.h"

namespace reflux {
namespace {

class MachineClock : public Clock {
 public:
  absl::Time Now() const override { return absl::Now(); }
  absl::Duration Uptime() const override {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return absl::DurationFromTimespec(now);
  }
  void WaitUntilUptime(CondVar& condition, Mutex& mutex, absl::Duration deadline) const override
      REFLUX_REQUIRES(mutex) {
    condition.WaitFor(mutex, deadline - Uptime());
  }
};

}  // namespace

const Clock& SystemClock() {
  static const auto* const clock = new MachineClock;
  return *clock;
}

}  // namespace reflux
