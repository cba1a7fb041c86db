#include "distill/losses/loss_schedule.h"

#include <gtest/gtest.h>

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

TEST(LossScheduleTest, NamesAreParsed) {
  EXPECT_EQ(*ParseLossSchedule("alw"), LossSchedule::kAlw);
  EXPECT_EQ(*ParseLossSchedule("alw_published"), LossSchedule::kAlwPublished);
  EXPECT_FALSE(ParseLossSchedule("cosine").ok());
}

}  // namespace
}  // namespace reflux
