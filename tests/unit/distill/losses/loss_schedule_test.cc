#include "distill/losses/loss_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace reflux {
namespace {

TEST(LossScheduleTest, ConstantIsOne) {
  EXPECT_EQ(WeightFactor(LossSchedule::kConstant, LossKind::kResponse, 3, 4), 1);
}

TEST(LossScheduleTest, AlwLowersTeacherTermsAlone) {
  EXPECT_EQ(WeightFactor(LossSchedule::kAlw, LossKind::kTask, 3, 4), 1);
  EXPECT_EQ(WeightFactor(LossSchedule::kAlw, LossKind::kRelation, 3, 4), 0.25);
  EXPECT_EQ(WeightFactor(LossSchedule::kAlw, LossKind::kResponse, 0, 4), 1);
}

TEST(LossScheduleTest, PublishedFormTradesKdForTheRest) {
  const auto schedule = LossSchedule::kAlwPublished;
  EXPECT_EQ(WeightFactor(schedule, LossKind::kTask, 1, 4), 0.25);
  EXPECT_EQ(WeightFactor(schedule, LossKind::kRelation, 1, 4), 0.25);
  EXPECT_EQ(WeightFactor(schedule, LossKind::kResponse, 1, 4), 0.75);
}

TEST(LossScheduleTest, DecaysLowerEveryTerm) {
  for (const LossKind kind : {LossKind::kTask, LossKind::kRelation, LossKind::kResponse}) {
    EXPECT_EQ(WeightFactor(*ParseLossSchedule("linear"), kind, 1, 4), 0.75);
    EXPECT_EQ(WeightFactor(*ParseLossSchedule("cosine"), kind, 0, 4), 1);
    EXPECT_NEAR(WeightFactor(*ParseLossSchedule("cosine"), kind, 2, 4), 0.5, 1e-15);
    EXPECT_EQ(WeightFactor(*ParseLossSchedule("step"), kind, 1, 4), 1);
    EXPECT_EQ(WeightFactor(*ParseLossSchedule("step"), kind, 2, 4), 0.1);
    EXPECT_EQ(WeightFactor(*ParseLossSchedule("step"), kind, 3, 4), 0.01);
  }
}

TEST(LossScheduleTest, NamesAreParsed) {
  EXPECT_EQ(*ParseLossSchedule("alw"), LossSchedule::kAlw);
  EXPECT_EQ(*ParseLossSchedule("alw_published"), LossSchedule::kAlwPublished);
  EXPECT_THAT(std::string(ParseLossSchedule("cosin").status().message()),
              testing::HasSubstr("'cosin' is none of constant, linear, cosine, step, alw"));
}

}  // namespace
}  // namespace reflux
