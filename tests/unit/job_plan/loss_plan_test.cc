// A loss of one's own in a job.
#include "job_plan/loss_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "distill/models/build_model.h"

namespace reflux {
namespace {

TEST(PlanLossesTest, AnOwnLossIsATermAmongTheOthers) {
  const auto student = *BuildModel({.num_classes = 3, .aspp_width = 8});
  const TeacherInfo teacher{.num_classes = 3, .taps = {{.name = "aspp", .channels = 16}}};
  v1::JobSpec spec;
  (*spec.mutable_teachers())["default"].set_checkpoint("teacher");
  v1::OwnLossSpec& own = (*spec.mutable_losses()->mutable_own())["feature_cosine"];
  own.set_weight(3);
  own.set_tap("aspp");
  own.set_schedule("constant");
  (*own.mutable_options())["power"] = 2;
  const auto planned = PlanLosses(spec, *student, {{"default", teacher}});
  ASSERT_TRUE(planned.ok()) << planned.status();
  ASSERT_EQ((*planned)->terms().size(), 1U);
  EXPECT_EQ((*planned)->terms()[0].name, "own_feature_cosine");
  EXPECT_EQ((*planned)->terms()[0].weight, 3);
  EXPECT_EQ((*planned)->terms()[0].teacher, "default");
  EXPECT_THAT((*planned)->teacher_taps(), testing::ElementsAre("aspp"));
  EXPECT_EQ((*planned)->parameters().size(), 1U);  // 8 channels to 16

  own.set_tap("c9");
  EXPECT_THAT(std::string(PlanLosses(spec, *student, {{"default", teacher}}).status().message()),
              testing::HasSubstr("losses.own.feature_cosine.tap: the student has no tap 'c9'"));
}

}  // namespace
}  // namespace reflux
