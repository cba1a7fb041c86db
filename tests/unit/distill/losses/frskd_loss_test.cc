#include "distill/losses/frskd_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "distill/losses/cross_entropy_loss.h"
#include "tests/unit/distill/losses/central_differences.h"
#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

using testing::HasSubstr;
using torch::Tensor;

constexpr int64_t kWidth = 6;

// Taps c1 of 8x10 and c2 of 4x5 positions, logits, labels of 16x20 pixels with some ignored.
LossInputs PyramidInputs(int64_t images) {
  torch::manual_seed(3);
  LossInputs inputs;
  inputs.ignore_index = kIgnore;
  inputs.student["logits"] = RandomMap(images, kClasses, 4, 5);
  inputs.student["c1"] = RandomMap(images, 3, 8, 10);
  inputs.student["c2"] = RandomMap(images, kWidth, 4, 5);
  inputs.labels = torch::randint(0, kClasses, {images, 16, 20}, torch::kInt64);
  inputs.labels.slice(2, 0, 3).fill_(kIgnore);
  for (auto& [tap, map] : inputs.student) map.requires_grad_();
  return inputs;
}

FrskdOptions SmallOptions(FrskdFeatures features = FrskdFeatures::kAttention) {
  FrskdOptions options{.taps = {"c1", "c2"}, .warmup = 0, .features = features, .seed = 7};
  options.self_teacher = {
      .channels = {3, kWidth}, .num_classes = kClasses, .width = kWidth, .head_width = 8};
  return options;
}

std::shared_ptr<FrskdLoss> Make(const FrskdOptions& options) {
  auto loss = std::make_shared<FrskdLoss>(options);
  loss->to(torch::kFloat64);
  return loss;
}

std::map<std::string, Tensor> GradientsOf(FrskdLoss& loss, const LossInputs& inputs) {
  loss.zero_grad();
  for (const auto& [tap, map] : inputs.student) map.mutable_grad() = Tensor();
  ValueOf(loss, inputs).backward();
  std::map<std::string, Tensor> gradients;
  for (const auto& item : loss.named_parameters()) gradients[item.key()] = item.value().grad();
  for (const auto& [tap, map] : inputs.student) gradients[tap] = map.grad();
  return gradients;
}

TEST(FrskdRampTest, IsZeroInTheWarmUpAndOneAtTheEnd) {
  EXPECT_EQ(FrskdRamp(39, 40, 60), 0);
  EXPECT_NEAR(FrskdRamp(40, 40, 60), std::exp(-5 * 0.95 * 0.95), 1e-12);
  EXPECT_EQ(FrskdRamp(59, 40, 60), 1);
  EXPECT_EQ(FrskdRamp(75, 40, 60), 1);  // beyond the end
  EXPECT_EQ(FrskdRamp(0, 0, 0), 1);
}

TEST(FrskdRampTest, FollowsTheShareOfTheRun) {
  FrskdOptions options = SmallOptions();
  options.warmup = 0.75;
  const auto loss = Make(options);
  EXPECT_EQ(loss->RampAt(2, 4), 0);
  EXPECT_EQ(loss->RampAt(3, 4), 1);
  options.ramp = false;
  EXPECT_EQ(Make(options)->RampAt(29, 40), 0);
  EXPECT_EQ(Make(options)->RampAt(30, 40), 1);
}

TEST(OverhaulMarginTest, IsTheMeanOfWhatTheReluThrowsAway) {
  const Tensor margins = OverhaulMargin(torch::tensor({1.0, -2.0, 0.0, 0.0, 1.0}),
                                        torch::tensor({0.0, 1.0, -0.5, 0.5, 9.0}));
  EXPECT_NEAR(margins[0].item<double>(), -std::sqrt(2 / M_PI), 1e-6);  // half a normal
  EXPECT_LT(margins[1].item<double>(), margins[0].item<double>());
  EXPECT_NEAR(margins[2].item<double>(), -0.5, 1e-6);  // a dead channel, below zero
  EXPECT_NEAR(margins[3].item<double>(), 0, 1e-6);     // and above it
  EXPECT_NEAR(margins[4].item<double>(), -3, 1e-6);    // hardly ever below zero
}

// Central differences of each term with respect to the student's side and the connectors.
TEST(FrskdTermsTest, GradientsAgreeWithCentralDifferences) {
  torch::manual_seed(5);
  for (const FrskdFeatures form :
       {FrskdFeatures::kAttention, FrskdFeatures::kFitNet, FrskdFeatures::kOverhaul}) {
    FrskdTerms terms({.features = form,
                      .temperature = 2,
                      .student_channels = {2, 3},
                      .teacher_channels = {4, 5}});
    terms.to(torch::kFloat64);
    const Tensor student = RandomMap(2, 3, 3, 4).requires_grad_();
    const Tensor teacher = RandomMap(2, 5, 3, 4);
    const Tensor logits = RandomMap(2, kClasses, 3, 4).requires_grad_();
    const Tensor soft = RandomMap(2, kClasses, 3, 4);
    const Tensor margin = torch::full({5}, -0.4, torch::kFloat64);
    const auto value = [&] {
      return terms.Level(1, student, teacher, margin) + terms.SoftLabels(logits, soft);
    };
    std::vector<Tensor> leaves = {student, logits};
    if (form != FrskdFeatures::kAttention) {
      leaves.push_back(terms.named_parameters()["linear.1.0.weight"]);
      leaves.push_back(terms.named_parameters()["linear.1.1.bias"]);
    }
    for (Tensor& leaf : leaves) EXPECT_LT(WorstDeviation(value, leaf, 3), 1e-6);
  }
}

// The self-teacher learns from the labels alone, and the student through it too.
TEST(FrskdLossTest, DistillationStopsAtTheSelfTeacherButItsCrossEntropyReachesTheStudent) {
  for (const FrskdFeatures form :
       {FrskdFeatures::kAttention, FrskdFeatures::kFitNet, FrskdFeatures::kOverhaul}) {
    const LossInputs inputs = PyramidInputs(2);
    FrskdOptions options = SmallOptions(form);
    const auto with = GradientsOf(*Make(options), inputs);
    options.alpha = options.beta = 0;
    const auto without = GradientsOf(*Make(options), inputs);
    for (const auto& [name, gradient] : without) {
      if (name.rfind("self_teacher.", 0) != 0) continue;
      EXPECT_LT((with.at(name) - gradient).abs().max().item<double>(), 1e-12) << name;
    }
    EXPECT_GT(without.at("c1").norm().item<double>(), 1e-6);
    EXPECT_GT(without.at("c2").norm().item<double>(), 1e-6);
    EXPECT_EQ(without.at("logits").norm().item<double>(), 0);
    EXPECT_GT((with.at("c1") - without.at("c1")).norm().item<double>(), 1e-6);
    EXPECT_GT(with.at("logits").norm().item<double>(), 1e-6);
  }
}

// In single figures: mean CE of the self-teacher over valid pixels, and the terms over the images.
TEST(FrskdLossTest, IsTheSumOfItsParts) {
  const LossInputs inputs = PyramidInputs(2);
  const FrskdOptions options = SmallOptions();
  const auto loss = Make(options);
  SelfTeacher self_teacher(options.self_teacher);
  self_teacher->to(torch::kFloat64);
  const torch::NoGradGuard no_gradients;
  for (auto& item : self_teacher->named_parameters()) {
    item.value().copy_(loss->named_parameters()["self_teacher." + item.key()]);
  }
  const SelfTeacherOutputs refined =
      self_teacher->forward({inputs.student.at("c1"), inputs.student.at("c2")});
  const Tensor ce = CrossEntropySum(refined.logits, inputs.labels, kIgnore, true) /
                    inputs.labels.ne(kIgnore).sum();
  FrskdTerms terms({.student_channels = {3, kWidth}, .teacher_channels = {kWidth, kWidth}});
  const Tensor kd =
      terms.SoftLabels(ResizeToLabels(inputs.student.at("logits"), inputs.labels, true),
                       ResizeToLabels(refined.logits, inputs.labels, true)) /
      2;
  const Tensor at = (terms.Level(0, inputs.student.at("c1"), refined.maps.maps[0]) +
                     terms.Level(1, inputs.student.at("c2"), refined.maps.maps[1])) /
                    2;
  const LossStatistics sums = loss->Local(inputs);
  EXPECT_NEAR(loss->Finish(sums).item<double>(), (ce + kd + 50 * at).item<double>(), 1e-10);
  const auto parts = loss->Parts(sums);
  EXPECT_NEAR(parts.at("self_teacher"), ce.item<double>(), 1e-10);
  EXPECT_NEAR(parts.at("soft_labels"), kd.item<double>(), 1e-10);
  EXPECT_NEAR(parts.at("features"), at.item<double>(), 1e-10);
}

TEST(FrskdLossTest, EverythingIsConnectedInTheWarmUpAndWithoutLabelsOrImages) {
  for (const FrskdFeatures form : {FrskdFeatures::kAttention, FrskdFeatures::kFitNet}) {
    FrskdOptions options = SmallOptions(form);
    options.warmup = 0.5;
    const auto loss = Make(options);
    LossInputs inputs = PyramidInputs(2);
    inputs.total_steps = 4;
    for (const uint64_t step : {0, 3}) {
      inputs.step = step;
      for (const auto& [name, gradient] : GradientsOf(*loss, inputs)) {
        EXPECT_TRUE(gradient.defined() && gradient.isfinite().all().item<bool>()) << name;
      }
    }
    inputs.step = 0;
    inputs.labels.fill_(kIgnore);
    EXPECT_EQ(ValueOf(*loss, inputs).item<double>(), 0);
    GradientsOf(*loss, inputs);
  }
}

TEST(FrskdLossTest, SinglePrecisionOfLargeInputsIsFinite) {
  LossInputs inputs = PyramidInputs(2);
  for (auto& [tap, map] : inputs.student) {
    map = (map.detach().sign() * 65504).to(torch::kFloat32).requires_grad_();
  }
  FrskdLoss loss(SmallOptions());
  for (const auto& [name, gradient] : GradientsOf(loss, inputs)) {
    EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << name;
  }
}

// The published margins are those of untrained norms, the same for every channel.
TEST(FrskdLossTest, TrainedMarginsFollowTheNorms) {
  const LossInputs inputs = PyramidInputs(2);
  FrskdOptions options = SmallOptions(FrskdFeatures::kOverhaul);
  const auto trained = Make(options);
  options.margin = FrskdOptions::Margin::kUntrained;
  const auto untrained = Make(options);
  EXPECT_EQ(ValueOf(*trained, inputs).item<double>(), ValueOf(*untrained, inputs).item<double>());
  for (const auto& loss : {trained, untrained}) {
    const torch::NoGradGuard no_gradients;
    loss->named_parameters()["self_teacher.layers.1.conv2up.1.bias"].fill_(-1);
  }
  EXPECT_NE(ValueOf(*trained, inputs).item<double>(), ValueOf(*untrained, inputs).item<double>());
}

TEST(FrskdLossTest, OptionsAreChecked) {
  EXPECT_TRUE(SmallOptions().Validate().ok());
  const auto refusal = [](auto change) {
    FrskdOptions options = SmallOptions();
    change(options);
    return std::string(options.Validate().message());
  };
  EXPECT_THAT(refusal([](auto& o) { o.warmup = 1; }), HasSubstr("losses.frskd.warmup: 1"));
  EXPECT_THAT(refusal([](auto& o) { o.beta = -1; }), HasSubstr("losses.frskd.beta: -1"));
  EXPECT_THAT(refusal([](auto& o) { o.temperature = 0; }), HasSubstr("temperature"));
  EXPECT_THAT(refusal([](auto& o) { o.self_teacher.layers = 0; }),
              HasSubstr("losses.frskd.layers: 0"));
  EXPECT_THAT(refusal([](auto& o) {
                o.taps.clear();
                o.self_teacher.channels.clear();
              }),
              HasSubstr("losses.frskd.taps"));
  EXPECT_FALSE(ParseFrskdFeatures("hint").ok());
  EXPECT_FALSE(ParseFrskdMargin("none").ok());
}

}  // namespace
}  // namespace reflux
