#include "common/base/clock.h"

#include <gtest/gtest.h>

#include <thread>

namespace reflux {
namespace {

TEST(SystemClock, AWaitByUptimeEndsWhenItHasCome) {
  const Clock& clock = SystemClock();
  Mutex mutex;
  CondVar condition;
  const absl::Duration deadline = clock.Uptime() + absl::Milliseconds(3);
  MutexLock lock(mutex);
  int waits = 0;
  for (; clock.Uptime() < deadline; ++waits) clock.WaitUntilUptime(condition, mutex, deadline);
  EXPECT_LT(waits, 50) << "it waits, it does not spin";
}

TEST(SystemClock, AWaitWithoutEndIsWokenByANotification) {
  Mutex mutex;
  CondVar condition;
  bool done = false;
  std::thread notifier([&] {
    MutexLock lock(mutex);
    done = true;
    condition.NotifyAll();
  });
  {
    MutexLock lock(mutex);
    while (!done) SystemClock().WaitUntilUptime(condition, mutex, absl::InfiniteDuration());
  }
  notifier.join();
}

}  // namespace
}  // namespace reflux
