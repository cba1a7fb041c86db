#include "distill/data/mixing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace reflux {
namespace {

constexpr MixOptions kMixup{.kind = MixOptions::Kind::kMixup, .alpha = 0.2};
constexpr MixOptions kCutmix{.kind = MixOptions::Kind::kCutmix, .alpha = 1};

// Mean 1/2 and variance 1 / (4 (2 alpha + 1)), also where most of the mass is at the ends.
TEST(DrawBetaTest, HasTheMomentsOfTheDistribution) {
  const CounterRandom random(3, "test");
  constexpr int kDraws = 20000;
  for (const double alpha : {0.05, 0.2, 1.0, 4.0}) {
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double x = DrawBeta(random, alpha, i);
      ASSERT_TRUE(x >= 0 && x <= 1) << x;
      sum += x;
      squares += (x - 0.5) * (x - 0.5);
    }
    EXPECT_NEAR(sum / kDraws, 0.5, 0.015) << alpha;
    EXPECT_NEAR(squares / kDraws, 1 / (4 * (2 * alpha + 1)), 0.006) << alpha;
  }
  EXPECT_EQ(DrawBeta(random, 0.2, 7), DrawBeta(random, 0.2, 7));
}

TEST(DrawMixTest, IsAFunctionOfSeedAndStep) {
  const Mix mix = DrawMix(kMixup, 1, 5, 16, 32, 32);
  EXPECT_TRUE(mix.blend);
  EXPECT_EQ(DrawMix(kMixup, 1, 5, 16, 32, 32).share, mix.share);
  EXPECT_NE(DrawMix(kMixup, 1, 6, 16, 32, 32).share, mix.share);
  EXPECT_NE(DrawMix(kMixup, 2, 5, 16, 32, 32).partner, mix.partner);
  std::vector<int64_t> sorted = mix.partner, all(16);
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);
}

TEST(DrawMixTest, TheShareOfCutmixIsWhatTheBoxLeaves) {
  double sum = 0;
  for (int step = 0; step < 500; ++step) {
    const Mix mix = DrawMix(kCutmix, 1, step, 4, 32, 24);
    EXPECT_FALSE(mix.blend);
    ASSERT_TRUE(0 <= mix.top && mix.top <= mix.bottom && mix.bottom <= 32);
    ASSERT_TRUE(0 <= mix.left && mix.left <= mix.right && mix.right <= 24);
    const double area = (mix.bottom - mix.top) * (mix.right - mix.left);
    EXPECT_DOUBLE_EQ(mix.share, 1 - area / (32 * 24));
    sum += mix.share;
  }
  EXPECT_GT(sum / 500, 0.5);  // boxes are cut off at the borders
  EXPECT_LT(sum / 500, 0.75);
}

TEST(ParseMixTest, Names) {
  EXPECT_EQ(*ParseMix("cutmix"), MixOptions::Kind::kCutmix);
  EXPECT_FALSE(ParseMix("blend").ok());
}

}  // namespace
}  // namespace reflux
