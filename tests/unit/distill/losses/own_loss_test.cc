// Losses of one's own: what a job may say of them, and the example's values (its gradient and
// edges: scratch_losses.h).
#include "distill/losses/own_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reflux {
namespace {

using testing::HasSubstr;
using torch::Tensor;

OwnLossInput Input(int64_t student = 2, int64_t teacher = 2) {
  return {.tap = {.tap = "aspp", .student_channels = student, .teacher_channels = teacher},
          .num_classes = 3};
}

std::string Refusal(const std::string& name, const std::map<std::string, double>& options) {
  return std::string(MakeOwnLoss(name, Input(), options).status().message());
}

TEST(OwnLossTest, WhatThereIsNotIsRefused) {
  EXPECT_THAT(Refusal("feature_sine", {}),
              HasSubstr("losses.own.feature_sine: there is no distill/losses/own/feature_sine.cc; "
                        "there are: "));
  EXPECT_EQ(Refusal("feature_cosine", {{"powr", 1}}),
            "losses.own.feature_cosine.options.powr: no such option; the loss has: power");
  EXPECT_EQ(Refusal("feature_cosine", {{"power", 9}}),
            "losses.own.feature_cosine.options.power: 9 is out of range [0.5, 8]");
  EXPECT_THAT(std::string(MakeOwnLoss("feature_cosine", Input(0), {}).status().message()),
              HasSubstr("losses.own.feature_cosine.tap: 'aspp' has no channels"));
}

TEST(OwnLossTest, EveryOptionHasASentenceAndADefaultInItsRange) {
  for (const auto& [name, loss] : OwnLosses()) {
    EXPECT_NE(loss.doc, "") << name;
    EXPECT_NE(loss.make, nullptr) << name;
    for (const OwnOption& option : loss.options) {
      EXPECT_NE(option.doc, "") << name << "." << option.name;
      EXPECT_TRUE(option.default_value >= option.low && option.default_value <= option.high)
          << name << "." << option.name;
    }
  }
}

// Two positions: a right angle and an opposite direction.
TEST(OwnLossTest, TheExampleIsTheCosineDistance) {
  const Tensor student = torch::tensor({{{{1.0, 1.0}}, {{0.0, 1.0}}}}, torch::kFloat64);
  const Tensor teacher = torch::tensor({{{{0.0, -2.0}}, {{3.0, -2.0}}}}, torch::kFloat64);
  const auto value = [&](const std::map<std::string, double>& options) {
    const auto loss = MakeOwnLoss("feature_cosine", Input(), options).value();
    const LossInputs inputs{.student = {{"aspp", student}}, .teacher = {{"aspp", teacher}}};
    return loss->Finish(loss->Local(inputs)).item<double>();
  };
  EXPECT_NEAR(value({}), (1 + 2) / 2.0, 1e-12);
  EXPECT_NEAR(value({{"power", 2}}), (1 + 4) / 2.0, 1e-12);
}

}  // namespace
}  // namespace reflux
