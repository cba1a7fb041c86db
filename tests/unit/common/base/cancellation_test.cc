#include "common/base/cancellation.h"

#include <gtest/gtest.h>

#include <thread>

namespace reflux {
namespace {

TEST(Cancellation, RunsCallbacksOnceAndAtOnceWhenLate) {
  Cancellation cancellation;
  int calls = 0;
  auto kept = cancellation.OnCancel([&] { ++calls; });
  {
    auto dropped = cancellation.OnCancel([&] { calls += 100; });
  }
  EXPECT_FALSE(cancellation.cancelled());
  cancellation.Cancel();
  cancellation.Cancel();
  EXPECT_TRUE(cancellation.cancelled());
  EXPECT_EQ(calls, 1);
  auto late = cancellation.OnCancel([&] { ++calls; });
  EXPECT_EQ(calls, 2);
}

TEST(Cancellation, AnyOfSeveralEndsTheWait) {
  Cancellation never, early, late;
  early.Cancel();
  AwaitCancelled({&never, nullptr, &early});
  std::thread canceller([&late] { late.Cancel(); });
  AwaitCancelled({&late, &never});
  EXPECT_TRUE(late.cancelled());
  EXPECT_FALSE(never.cancelled());
  canceller.join();
}

}  // namespace
}  // namespace reflux
