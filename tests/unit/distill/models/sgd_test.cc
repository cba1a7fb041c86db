#include "distill/optim/sgd.h"

#include <gtest/gtest.h>

namespace reflux {
namespace {

using torch::Tensor;

Sgd::NamedParameters Parameters() {
  return {{"pretrained.conv1.weight", torch::ones({2, 3}).requires_grad_()},
          {"head.bias", torch::ones({4}).requires_grad_()}};
}

// Gradient at a step: something that depends on step and parameter.
void SetGradients(const Sgd::NamedParameters& parameters, int64_t step) {
  for (const auto& [name, parameter] : parameters) {
    parameter.mutable_grad() = torch::sin(parameter.detach() * 3 + static_cast<double>(step));
  }
}

std::unique_ptr<Sgd> Create(const Sgd::NamedParameters& parameters, const SgdOptions& options) {
  auto sgd = Sgd::Create(parameters, options);
  EXPECT_TRUE(sgd.ok()) << sgd.status();
  return *std::move(sgd);
}

TEST(LearningRateScheduleTest, Polynomial) {
  const LearningRateSchedule schedule{.base_lr = 0.02, .power = 0.9, .total_steps = 100};
  EXPECT_DOUBLE_EQ(schedule.LearningRate(0), 0.02);
  EXPECT_NEAR(schedule.LearningRate(50), 0.02 * 0.5358867312681466, 1e-15);
  EXPECT_EQ(schedule.LearningRate(100), 0);
  EXPECT_EQ(schedule.LearningRate(101), 0);
}

TEST(LearningRateScheduleTest, FallsAtEachMilestone) {
  const LearningRateSchedule schedule{
      .base_lr = 0.1, .power = 0, .total_steps = 200, .milestones = {0.5, 0.75}, .decay = 0.1};
  EXPECT_DOUBLE_EQ(schedule.LearningRate(99), 0.1);
  EXPECT_DOUBLE_EQ(schedule.LearningRate(100), 0.01);
  EXPECT_DOUBLE_EQ(schedule.LearningRate(149), 0.01);
  EXPECT_NEAR(schedule.LearningRate(150), 0.001, 1e-15);
  EXPECT_EQ(schedule.LearningRate(200), 0);
  EXPECT_FALSE(LearningRateSchedule{.milestones = {1}}.Validate().ok());
  EXPECT_FALSE(LearningRateSchedule{.decay = 0}.Validate().ok());
}

TEST(SgdTest, FirstUpdateFollowsTheFormulaByGroup) {
  const auto parameters = Parameters();
  SgdOptions options;
  options.schedule = {.base_lr = 0.1, .power = 1, .total_steps = 2};
  options.weight_decay = 0.5;
  options.head_lr_multiplier = 10;
  options.exempt_norms_and_biases = true;
  const auto sgd = Create(parameters, options);
  for (const auto& [name, parameter] : parameters) {
    parameter.mutable_grad() = torch::full_like(parameter, 0.25);
  }
  sgd->Step(1);  // learning rate 0.05
  EXPECT_FLOAT_EQ(parameters.at("pretrained.conv1.weight")[0][0].item<float>(),
                  1 - 0.05f * (0.25f + 0.5f));
  EXPECT_FLOAT_EQ(parameters.at("head.bias")[0].item<float>(), 1 - 0.5f * 0.25f);
}

TEST(SgdTest, BackboneIsKnownByTheNamesOfBothCodeBases) {
  SgdOptions options;
  options.schedule = {.base_lr = 0.1, .power = 1, .total_steps = 2};
  options.weight_decay = 0;
  options.head_lr_multiplier = 10;
  const Sgd::NamedParameters parameters = {
      {"backbone.features.0.0.weight", torch::ones({2}).requires_grad_()},
      {"decoder.conv1.weight", torch::ones({2}).requires_grad_()}};
  const auto sgd = Create(parameters, options);
  for (const auto& [name, parameter] : parameters) {
    parameter.mutable_grad() = torch::full_like(parameter, 0.5);
  }
  sgd->Step(0);
  EXPECT_FLOAT_EQ(parameters.at("backbone.features.0.0.weight")[0].item<float>(), 1 - 0.05f);
  EXPECT_FLOAT_EQ(parameters.at("decoder.conv1.weight")[0].item<float>(), 1 - 0.5f);
}

TEST(SgdTest, ResumedRunGoesOnBitForBit) {
  SgdOptions options;
  options.schedule.total_steps = 10;
  const auto parameters = Parameters();
  const auto sgd = Create(parameters, options);
  EXPECT_TRUE(sgd->SaveState().empty());
  for (int64_t step = 0; step < 4; ++step) SetGradients(parameters, step), sgd->Step(step);

  const auto saved = sgd->SaveState();
  Sgd::NamedParameters copies;
  for (const auto& [name, parameter] : parameters) {
    copies[name] = parameter.detach().clone().requires_grad_();
  }
  const auto resumed = Create(copies, options);
  ASSERT_TRUE(resumed->LoadState(saved).ok());
  for (int64_t step = 4; step < 10; ++step) {
    SetGradients(parameters, step), sgd->Step(step);
    SetGradients(copies, step), resumed->Step(step);
  }
  for (const auto& [name, parameter] : parameters) {
    EXPECT_TRUE(torch::equal(parameter, copies.at(name))) << name;
  }
}

TEST(SgdTest, ForeignStateIsRefusedWhole) {
  const auto sgd = Create(Parameters(), SgdOptions());
  EXPECT_FALSE(sgd->LoadState({{"head.bias", torch::ones({4})}, {"x", torch::ones({1})}}).ok());
  EXPECT_FALSE(sgd->LoadState({{"head.bias", torch::ones({5})}}).ok());
  EXPECT_TRUE(sgd->SaveState().empty());
}

TEST(SgdTest, OptionsAreValidated) {
  SgdOptions bad;
  bad.momentum = 1;
  EXPECT_FALSE(Sgd::Create(Parameters(), bad).ok());
  bad = SgdOptions();
  bad.schedule.base_lr = NAN;
  EXPECT_FALSE(Sgd::Create(Parameters(), bad).ok());
  EXPECT_FALSE(Sgd::Create({}, SgdOptions()).ok());
}

}  // namespace
}  // namespace reflux
