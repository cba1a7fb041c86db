// A loss of one's own in a job.
#include "job_plan/loss_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

std::string TapNames(const SegmentationModel& model) {
  return absl::StrJoin(model.taps(), ", ", [](std::string* out, const TapInfo& tap) {
    absl::StrAppend(out, tap.name);
  });
}

// A job that distils by feature_cosine on `aspp`.
v1::JobSpec CosineJob(double weight) {
  v1::JobSpec spec;
  (*spec.mutable_teachers())["default"].set_checkpoint("teacher");
  v1::OwnLossSpec& own = (*spec.mutable_losses()->mutable_own())["feature_cosine"];
  own.set_weight(weight);
  own.set_tap("aspp");
  own.set_schedule("constant");
  return spec;
}

TEST(PlanLossesTest, AnOwnLossIsATermAmongTheOthers) {
  const auto student = *BuildModel({.num_classes = 3, .aspp_width = 8});
  const TeacherInfo teacher{.num_classes = 3, .taps = {{.name = "aspp", .channels = 16}}};
  v1::JobSpec spec = CosineJob(3);
  v1::OwnLossSpec& own = (*spec.mutable_losses()->mutable_own())["feature_cosine"];
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
  EXPECT_EQ(
      PlanLosses(spec, *student, {{"default", teacher}}).status().message(),
      "losses.own.feature_cosine.tap: the student has no tap 'c9'; it has: " + TapNames(*student));
}

TEST(PlanLossesTest, ATapThatOnlyTheTeacherLacksIsSaidWithThoseItHas) {
  const auto student = *BuildModel({.num_classes = 3, .aspp_width = 8});
  const TeacherInfo teacher{
      .num_classes = 3,
      .taps = {{.name = "logits", .channels = 3}, {.name = "head", .channels = 16}}};
  EXPECT_THAT(
      std::string(PlanLosses(CosineJob(1), *student, {{"default", teacher}}).status().message()),
      testing::HasSubstr("the teacher has no tap 'aspp'; it has: logits, head"));
}

TEST(PlanLossesTest, ATeacherOfOtherClassesIsNamedWithItsCheckpoint) {
  const auto student = *BuildModel({.num_classes = 3, .aspp_width = 8});
  v1::JobSpec spec;
  (*spec.mutable_teachers())["city"].set_checkpoint("/ckpt/city.pth");
  spec.mutable_losses()->mutable_kd()->set_teacher("city");
  const absl::Status status = PlanLosses(spec, *student, {{"city", {.num_classes = 19}}}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_EQ(status.message(),
            "losses.kd: the teacher `city` (/ckpt/city.pth) has 19 classes, the data set 3");
}

}  // namespace
}  // namespace reflux
