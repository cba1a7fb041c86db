#include "common/base/counter_random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace reflux {
namespace {

// Known answers of the Random123 distribution (philox4x32, 10 rounds).
TEST(Philox4x32, MatchesPublishedVectors) {
  EXPECT_THAT(Philox4x32(0, 0, 0),
              testing::ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(Philox4x32(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}),
              testing::ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
}

TEST(CounterRandom, PurposesAndSeedsAreIndependentStreams) {
  std::set<uint64_t> drawn = {CounterRandom(1, "a").Bits(3), CounterRandom(2, "a").Bits(3),
                              CounterRandom(1, "b").Bits(3), CounterRandom(1, "a").Bits(4),
                              CounterRandom(1, "a").Bits(3, 1)};
  EXPECT_EQ(drawn.size(), 5);
  EXPECT_EQ(CounterRandom(1, "a").Bits(3), CounterRandom(1, "a").Bits(3));
}

TEST(CounterRandom, UniformCoversTheUnitInterval) {
  const CounterRandom random(7, "uniform");
  double sum = 0, low = 1, high = 0;
  for (int i = 0; i < 20000; ++i) {
    const double u = random.Uniform(i);
    sum += u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  EXPECT_NEAR(sum / 20000, 0.5, 0.01);
  EXPECT_GE(low, 0);
  EXPECT_LT(low, 0.001);
  EXPECT_LT(high, 1);
  EXPECT_GT(high, 0.999);
}

TEST(CounterRandom, PermutationHoldsEveryIndexOnce) {
  const CounterRandom random(7, "order");
  std::vector<int64_t> order = random.Permutation(367, 2);
  EXPECT_NE(order, random.Permutation(367, 3));
  std::sort(order.begin(), order.end());
  for (int64_t i = 0; i < 367; ++i) EXPECT_EQ(order[i], i);
}

}  // namespace
}  // namespace reflux
