#include "job_plan/student_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace reflux {
namespace {

// A loss that reads one tap of the teacher; it is planned for, never computed.
class ReadsTap : public Loss {
 public:
  explicit ReadsTap(std::string tap) : tap_(std::move(tap)) {}
  LossStatistics Local(const LossInputs&) override {
    return {torch::zeros({1}), torch::ones({1}, torch::kFloat64)};
  }
  torch::Tensor Finish(const LossStatistics& global) override { return global.sums[0]; }
  bool additive() const override { return true; }
  std::vector<std::string> student_taps() const override { return {}; }
  std::vector<std::string> teacher_taps() const override { return {tap_}; }

 private:
  const std::string tap_;
};

LossSet Reading(const std::string& tap) {
  return LossSet(std::vector<LossTerm>{{.name = "reads", .loss = std::make_shared<ReadsTap>(tap)}});
}

v1::TargetsSpec WithCodec(const std::string& codec) {
  v1::TargetsSpec targets;
  targets.set_codec(codec);
  return targets;
}

TEST(PlanTargetSpecsTest, EveryTapIsAskedForInTheJobsCodec) {
  const auto specs = PlanTargetSpecs(WithCodec("fp16+zstd"), Reading("aspp"), "");
  ASSERT_TRUE(specs.ok()) << specs.status();
  EXPECT_THAT(*specs,
              testing::ElementsAre(TargetSpec{.tap = "aspp", .codec = Compressed(Codec::kFp16)}));
}

TEST(PlanTargetSpecsTest, ATeacherIsAskedForWhatItsOwnLossesRead) {
  const LossSet losses(std::vector<LossTerm>{
      {.name = "a", .loss = std::make_shared<ReadsTap>("logits"), .teacher = "big"},
      {.name = "b", .loss = std::make_shared<ReadsTap>("aspp"), .teacher = "wide"}});
  const auto specs = PlanTargetSpecs(WithCodec("fp16"), losses, "wide");
  ASSERT_TRUE(specs.ok()) << specs.status();
  EXPECT_THAT(*specs, testing::ElementsAre(TargetSpec{.tap = "aspp", .codec = Codec::kFp16}));
}

TEST(PlanTargetSpecsTest, TopKIsForLogitsAlone) {
  const auto specs = PlanTargetSpecs(WithCodec("topk:4"), Reading("logits"), "");
  ASSERT_TRUE(specs.ok()) << specs.status();
  EXPECT_EQ(TopK(specs->front().codec), 4);
  const absl::Status refused = PlanTargetSpecs(WithCodec("topk:4"), Reading("aspp"), "").status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_THAT(
      std::string(refused.message()),
      testing::HasSubstr("topk:4 is for logits alone, and a loss reads the teacher's aspp"));
}

}  // namespace
}  // namespace reflux
