#include "job_plan/view_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reflux {
namespace {

using testing::HasSubstr;
using Kind = ViewChoice::Kind;

constexpr int64_t kMiB = 1 << 20;

ViewFacts Facts() {
  return {.images = 100,
          .draws = 7.2,
          .free_bytes = 100000 * kMiB,
          .bytes_of_view = kMiB,
          .bytes_of_whole = 2 * kMiB};
}

ViewComparison Losing(double points) {
  return {
      .taps = {{.tap = "logits", .positions = 10, .cosine = 0.98, .kl = 0.02, .agreement = 0.96}},
      .live_miou = 61,
      .derived_miou = 61 - points,
      .images = 32,
      .views = 32};
}

TEST(ChooseViewsTest, DerivesWhereTheTeacherLosesLittle) {
  const ViewDecision decision = ChooseViews(Facts(), Losing(0.4));
  EXPECT_EQ(decision.choice.ToString(), "whole");
  EXPECT_EQ(
      decision.why,
      "one map of each image takes 200.0 MiB; teacher's mIoU 61.0 live, 60.6 derived (32 views "
      "of 32 images); logits cosine 0.980, KL 0.020, same class 0.960; the teacher loses 0.4 "
      "points, 1.0 are allowed");
}

TEST(ChooseViewsTest, ReplaysOtherwise) {
  EXPECT_EQ(ChooseViews(Facts(), Losing(1.5)).choice.ToString(), "replay: 8");
  ViewFacts facts = Facts();
  facts.draws = 500;
  EXPECT_EQ(ChooseViews(facts, Losing(1.5)).choice.ToString(), "replay: 16");
  const ViewDecision decision = ChooseViews(facts, absl::NotFoundError("no labels"));
  EXPECT_EQ(decision.choice.ToString(), "replay: 16");
  EXPECT_THAT(decision.why, HasSubstr("no labels"));
  facts.tolerance = 2;
  EXPECT_EQ(ChooseViews(facts, Losing(1.5)).choice.kind, Kind::kWhole);
}

TEST(ChooseViewsTest, KeepsToTheDisk) {
  ViewFacts facts = Facts();
  facts.free_bytes = 400 * kMiB;  // of which 320: three views an image, or the whole images
  EXPECT_EQ(ChooseViews(facts, Losing(1.5)).choice.ToString(), "replay: 3");
  EXPECT_EQ(ChooseViews(facts, Losing(0)).choice.kind, Kind::kWhole);
  facts.free_bytes = 200 * kMiB;  // of which 160
  EXPECT_EQ(ChooseViews(facts, Losing(0)).choice.ToString(), "replay: 1");
  facts.free_bytes = 100 * kMiB;
  EXPECT_EQ(ChooseViews(facts, Losing(0)).choice.kind, Kind::kLive);
  facts.free_bytes = -1;
  EXPECT_EQ(ChooseViews(facts, Losing(1.5)).choice.ToString(), "replay: 8");
}

TEST(ChooseViewsTest, StoresNothingThatIsNotReadTwice) {
  ViewFacts facts = Facts();
  facts.draws = 1.9;
  EXPECT_EQ(ChooseViews(facts, Losing(0)).choice.kind, Kind::kLive);
  facts = Facts();
  facts.cached = false;
  EXPECT_EQ(ChooseViews(facts, Losing(0)).choice.kind, Kind::kLive);
}

TEST(CheckWholeTest, RefusesWithFiguresAndTheViewsThatWouldDo) {
  EXPECT_TRUE(CheckWhole(Facts(), Losing(1)).ok());
  EXPECT_TRUE(CheckWhole(Facts(), Losing(-3)).ok());
  const absl::Status status = CheckWhole(Facts(), Losing(3.2));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("61.0 live, 57.8 derived"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("loses 3.2 points, 1.0 are allowed"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("`replay: 8` would do"));
}

TEST(BytesOfViewTest, CountsWhatIsSent) {
  const TeacherInfo teacher{.num_classes = 11,
                            .taps = {{"logits", 11, 8}, {"aspp", 256, 8}, {"c4", 2048, 8}}};
  const int64_t positions = 45 * 60;
  const auto bytes = [&](const TargetSpec& spec) { return BytesOfView({spec}, teacher, 360, 480); };
  EXPECT_EQ(bytes({.tap = "logits", .codec = Codec::kFp16}), 11 * positions * 2);
  EXPECT_EQ(bytes({.tap = "aspp"}), 256 * positions * 4);
  EXPECT_EQ(bytes({.tap = "aspp", .reduction = Reduction::kClassSums}), 257 * 11 * 4);
  EXPECT_EQ(bytes({.tap = "c4", .reduction = MaxPool(4), .codec = Codec::kFp16}),
            2048 * 11 * 15 * 2);
  EXPECT_EQ(BytesOfView({{.tap = "logits"}, {.tap = "aspp"}}, teacher, 360, 480),
            267 * positions * 4);
}

TEST(ParseViewsTest, ReadsWhatAJobFileSays) {
  for (const char* text : {"replay: 8", "live", "whole", "whole: 360x480", "auto"})
    EXPECT_EQ(ParseViews(text).value().ToString(), text);
  EXPECT_EQ(ParseViews(" replay:3 ").value().replay, 3);
  for (const char* text :
       {"", "replay", "replay: 0", "replay: 100001", "whole: 4x480", "whole: 360",
        "whole: 360x480x3", "whole 360x480", "wholly", "whole: -8x8"})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseViews(text).status())) << text;
}

}  // namespace
}  // namespace reflux
