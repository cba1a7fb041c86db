#include "distill/data/sample_stream.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace reflux {
namespace {

TEST(SampleStream, EveryEpochHoldsEachSampleOnce) {
  const SampleStream stream({.samples = 12, .global_batch = 4, .replay = 3, .seed = 5});
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::set<int64_t> seen;
    for (int step = 3 * epoch; step < 3 * epoch + 3; ++step) {
      for (const Draw& draw : stream.Draws(step, 0, 1)) {
        seen.insert(draw.sample);
        EXPECT_LT(draw.view, 3);
      }
    }
    EXPECT_EQ(seen.size(), 12);
  }
}

TEST(SampleStream, AsManyEpochsAsViewsTakeEveryViewOfEverySampleOnce) {
  const SampleStream stream({.samples = 6, .global_batch = 3, .replay = 4, .seed = 9});
  std::set<std::pair<int64_t, int64_t>> seen;
  for (int step = 0; step < 4 * 2; ++step) {
    for (const Draw& draw : stream.Draws(step, 0, 1)) seen.insert({draw.sample, draw.view});
  }
  EXPECT_EQ(seen.size(), 6 * 4);
}

TEST(SampleStream, SharesOfTheRanksAreTheWholeBatch) {
  const SampleStream stream({.samples = 7, .global_batch = 5, .replay = 3, .seed = 5});
  for (int world : {1, 2, 3, 5}) {
    for (int step = 0; step < 6; ++step) {
      std::vector<Draw> together;
      for (int rank = 0; rank < world; ++rank) {
        const std::vector<Draw> share = stream.Draws(step, rank, world);
        EXPECT_LE(share.size(), (5 + world - 1) / world);
        EXPECT_GE(share.size(), 5 / world);
        together.insert(together.end(), share.begin(), share.end());
      }
      EXPECT_EQ(together, stream.Draws(step, 0, 1));
    }
  }
}

TEST(SampleStream, OrderAndViewsDependOnTheSeed) {
  const SampleStream a({.samples = 50, .global_batch = 50, .replay = 8, .seed = 1});
  const SampleStream b({.samples = 50, .global_batch = 50, .replay = 8, .seed = 2});
  EXPECT_NE(a.Draws(0, 0, 1), b.Draws(0, 0, 1));
  EXPECT_NE(a.Draws(0, 0, 1), a.Draws(1, 0, 1));
}

// Orders of epochs are kept between calls: that must not show, whoever asks when.
TEST(SampleStream, DrawsDoNotDependOnThoseBefore) {
  const SampleStreamOptions options{.samples = 5, .global_batch = 4, .replay = 3, .seed = 7};
  std::vector<std::vector<Draw>> expected;
  for (int step = 0; step < 20; ++step) expected.push_back(SampleStream(options).Draws(step, 0, 1));
  const SampleStream stream(options);
  const auto check = [&](int first, int stride) {
    for (int i = 0; i < 20; ++i) {
      const int step = (first + i * stride) % 20;
      EXPECT_EQ(stream.Draws(step, 0, 1), expected[step]) << step;
    }
  };
  std::thread other([&check] { check(19, 9); });
  check(0, 7);
  check(3, 1);
  other.join();
}

TEST(SampleStream, OptionsNeedSamplesAndABatch) {
  EXPECT_TRUE(SampleStreamOptions{.samples = 1}.Validate().ok());
  EXPECT_TRUE(absl::IsInvalidArgument(SampleStreamOptions{.samples = 0}.Validate()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(SampleStreamOptions{.samples = 1, .global_batch = 0}.Validate()));
}

TEST(SampleStream, LiveViewNumbersNeverRepeat) {
  const SampleStream stream({.samples = 3, .global_batch = 2, .replay = 0, .seed = 1});
  std::set<int64_t> views;
  for (int step = 0; step < 20; ++step) {
    for (const Draw& draw : stream.Draws(step, 0, 1)) views.insert(draw.view);
  }
  EXPECT_EQ(views.size(), 40);
}

}  // namespace
}  // namespace reflux
