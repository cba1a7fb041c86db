#include "cache/nearest_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TargetSet Wanted() { return SetOf(FakeRequest(1)); }
StoredSet Held(const TargetSet& set, int64_t entries = 1) {
  return {.id = MakeTargetSetId(set), .set = set, .entries = entries};
}

TEST(DifferingFieldsTest, NamesEveryFieldThatReachesTheKey) {
  TargetSet other = Wanted();
  EXPECT_THAT(DifferingFields(Wanted(), other), IsEmpty());
  other.dataset = "elsewhere";  // reaches no key
  other.model = "other";
  EXPECT_THAT(DifferingFields(Wanted(), other), IsEmpty());
  other.teacher.preprocessing = {
      .bgr = true, .divisor = 1, .mean = {1, 2, 3}, .deviation = {1, 2, 3}};
  EXPECT_THAT(DifferingFields(Wanted(), other),
              ElementsAre("preprocessing.order", "preprocessing.divisor", "preprocessing.mean",
                          "preprocessing.deviation"));
  other = Wanted();
  other.teacher.digest = Sha256::Of("another");
  other.spec = {.tap = "c3", .codec = Codec::kInt8};
  EXPECT_THAT(DifferingFields(Wanted(), other), ElementsAre("teacher.digest", "tap", "codec"));
  other = Wanted();
  other.teacher.numerics = {.mode = NumericsMode::kFast,
                            .compute = ComputeDType::kBf16,
                            .tf32 = true,
                            .threads = 77,
                            .batch = 78,
                            .inference_revision = 79};
  EXPECT_THAT(DifferingFields(Wanted(), other),
              ElementsAre("numerics.mode", "numerics.compute", "numerics.tf32", "numerics.threads",
                          "numerics.batch", "numerics.inference_revision"));
}

TEST(FindNearestSetTest, TakesTheSetThatDiffersLeast) {
  EXPECT_FALSE(FindNearestSet(Wanted(), {}).has_value());
  TargetSet mean = Wanted(), tap = Wanted(), weights = Wanted();
  mean.teacher.preprocessing.mean[0] += 1;
  tap.spec.tap = "c3";
  weights.teacher.digest = Sha256::Of("another");
  const auto nearest = FindNearestSet(Wanted(), {Held(weights, 900), Held(tap, 90), Held(mean, 9)});
  ASSERT_TRUE(nearest.has_value());
  EXPECT_EQ(nearest->set.entries, 9);
  EXPECT_THAT(nearest->differs, ElementsAre("preprocessing.mean"));
  EXPECT_EQ(FindNearestSet(Wanted(), {Held(weights), Held(tap)})->differs[0], "tap");
  // Of equals the larger one.
  TargetSet order = Wanted();
  order.teacher.preprocessing.bgr = !order.teacher.preprocessing.bgr;
  EXPECT_EQ(FindNearestSet(Wanted(), {Held(mean, 9), Held(order, 12)})->set.entries, 12);
}

}  // namespace
}  // namespace reflux
