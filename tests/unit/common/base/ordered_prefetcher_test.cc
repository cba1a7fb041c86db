#include "common/base/ordered_prefetcher.h"

#include <gtest/gtest.h>

#include <atomic>

namespace reflux {
namespace {

TEST(OrderedPrefetcher, HandsOutInOrderWhateverTheThreads) {
  OrderedPrefetcher<int64_t> prefetcher({.first = 3, .end = 200, .depth = 4, .threads = 3},
                                        [](int64_t n, const auto&) { return n * n; });
  for (int64_t n = 3; n < 200; ++n) EXPECT_EQ(prefetcher.Next().value(), n * n);
  EXPECT_TRUE(absl::IsOutOfRange(prefetcher.Next().status()));
}

TEST(OrderedPrefetcher, NeverHoldsMoreThanItsDepth) {
  std::atomic<int64_t> made{0}, taken{0}, worst{0};
  OrderedPrefetcher<int64_t> prefetcher(
      {.end = 100, .depth = 3, .threads = 4}, [&](int64_t n, const auto&) {
        const int64_t held = ++made - taken;
        int64_t seen = worst;
        while (held > seen && !worst.compare_exchange_weak(seen, held)) {
        }
        return n;
      });
  for (int64_t n = 0; n < 100; ++n) {
    ASSERT_EQ(prefetcher.Next().value(), n);
    ++taken;
  }
  EXPECT_LE(worst, 4);  // an item is taken just before `taken` says so
}

TEST(OrderedPrefetcher, AFailedItemIsGivenInItsPlace) {
  OrderedPrefetcher<int64_t> prefetcher({.end = 3},
                                        [](int64_t n, const auto&) -> absl::StatusOr<int64_t> {
                                          if (n == 1) return absl::NotFoundError("one");
                                          return n;
                                        });
  EXPECT_TRUE(prefetcher.Next().ok());
  EXPECT_TRUE(absl::IsNotFound(prefetcher.Next().status()));
  EXPECT_EQ(prefetcher.Next().value(), 2);
}

TEST(OrderedPrefetcher, DestructionCancelsWhatIsBeingMade) {
  Mutex mutex;
  CondVar changed;
  bool started = false, cancelled = false;
  {
    OrderedPrefetcher<int64_t> prefetcher({.end = 1, .threads = 1},
                                          [&](int64_t n, const auto& cancellation) {
                                            auto registration = cancellation->OnCancel([&] {
                                              MutexLock lock(mutex);
                                              cancelled = true;
                                              changed.NotifyAll();
                                            });
                                            MutexLock lock(mutex);
                                            started = true;
                                            changed.NotifyAll();
                                            while (!cancelled) changed.Wait(mutex);
                                            return n;
                                          });
    MutexLock lock(mutex);
    while (!started) changed.Wait(mutex);
  }
  EXPECT_TRUE(cancelled);
}

}  // namespace
}  // namespace reflux
