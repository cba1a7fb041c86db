// The losses of classifiers: label rotation, mixed labels, and FRSKD on a pyramid.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/functional.h>

#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/frskd_classifier_loss.h"
#include "distill/losses/label_rotation.h"
#include "distill/losses/loss_set.h"
#include "tests/unit/distill/losses/central_differences.h"
#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

namespace F = torch::nn::functional;
using testing::HasSubstr;
using torch::Tensor;

LossInputs ImageInputs(int64_t images, bool rotated) {
  LossInputs inputs = RandomImageInputs(images, rotated);
  for (auto* maps : {&inputs.student, &inputs.rotated}) {
    for (auto& [tap, map] : *maps) map.requires_grad_();
  }
  return inputs;
}

FrskdClassifierOptions SmallOptions(FrskdFeatures features = FrskdFeatures::kAttention) {
  FrskdClassifierOptions options{.temperature = 2, .features = features, .seed = 7};
  options.self_teacher = {.channels = {3, 4}, .num_classes = kClasses, .width = 2};
  return options;
}

std::shared_ptr<FrskdClassifierLoss> Make(const FrskdClassifierOptions& options) {
  auto loss = std::make_shared<FrskdClassifierLoss>(options);
  loss->to(torch::kFloat64);
  return loss;
}

std::map<std::string, Tensor> GradientsOf(Loss& loss, const LossInputs& inputs) {
  loss.zero_grad();
  std::map<std::string, Tensor> gradients;
  for (const auto* maps : {&inputs.student, &inputs.rotated}) {
    for (const auto& [tap, map] : *maps) map.mutable_grad() = Tensor();
  }
  ValueOf(loss, inputs).backward();
  for (const auto& item : loss.named_parameters()) gradients[item.key()] = item.value().grad();
  for (const auto& [tap, map] : inputs.student) gradients[tap] = map.grad();
  return gradients;
}

TEST(LabelRotationTest, ImageAndLabelTurnTogether) {
  const Tensor images = torch::arange(8, torch::kFloat64).view({2, 1, 2, 2});
  const Tensor rotated = RotateFour(images);
  ASSERT_EQ(rotated.sizes(), torch::IntArrayRef({8, 1, 2, 2}));
  EXPECT_TRUE(rotated[4].equal(images[1]));
  EXPECT_TRUE(rotated[5].equal(torch::rot90(images[1], 1, {1, 2})));
  EXPECT_TRUE(rotated[6].equal(images[1].flip({1, 2})));
  EXPECT_TRUE(JointLabels(torch::tensor({2, 255, 0}).view({3, 1, 1}), 255)
                  .equal(torch::tensor({8, 9, 10, 11, 255, 255, 255, 255, 0, 1, 2, 3})));
  // An image whose rotations vote for class 1 in their own columns.
  Tensor joint = torch::zeros({4, 8}, torch::kFloat64);
  for (int64_t k = 0; k < 4; ++k) joint[k][4 + k] = static_cast<double>(k);
  joint[0][1] = 100;  // what rotation 0 says of rotation 1 does not count
  EXPECT_TRUE(AverageOverRotations(joint).equal(torch::tensor({{0.0, 1.5}}, torch::kFloat64)));
  EXPECT_THROW(RotateFour(torch::zeros({1, 3, 2, 4})), c10::Error);
}

TEST(SlaLossTest, IsJointCrossEntropyAndDistillation) {
  const LossInputs inputs = ImageInputs(3, /*rotated=*/true);
  const SlaOptions options{.tap = "c2",
                           .channels = 4,
                           .num_classes = kClasses,
                           .distillation = 3,
                           .temperature = 2,
                           .seed = 5};
  ASSERT_TRUE(options.Validate().ok());
  SlaLoss loss(options);
  loss.to(torch::kFloat64);
  const Tensor weight = loss.named_parameters()["joint.weight"];
  const Tensor joint = torch::linear(inputs.rotated.at("c2").mean({2, 3}), weight,
                                     loss.named_parameters()["joint.bias"]);
  const Tensor labels = JointLabels(inputs.labels, kIgnore);
  const Tensor ce =
      F::cross_entropy(joint, labels, F::CrossEntropyFuncOptions().ignore_index(kIgnore));
  const Tensor soft = F::kl_div(torch::log_softmax(inputs.student.at("logits").flatten(1) / 2, 1),
                                torch::softmax(AverageOverRotations(joint) / 2, 1),
                                F::KLDivFuncOptions().reduction(torch::kBatchMean)) *
                      4;
  EXPECT_NEAR(ValueOf(loss, inputs).item<double>(), (ce + 3 * soft).item<double>(), 1e-10);
  const auto value = [&] { return ValueOf(loss, inputs); };
  EXPECT_LT(WorstDeviation(value, inputs.student.at("logits"), 1), 1e-6);
  const auto parts = loss.Parts(loss.Local(inputs));
  EXPECT_NEAR(parts.at("joint"), ce.item<double>(), 1e-10);
  EXPECT_NEAR(parts.at("soft_labels"), soft.item<double>(), 1e-10);
}

TEST(CrossEntropyLossTest, MixedLabelsCountByTheirShares) {
  LossInputs inputs = ImageInputs(3, false);
  CrossEntropyLoss loss({.aux_weight = 0});
  const double own = ValueOf(loss, inputs).item<double>();
  LossInputs others = inputs;
  others.labels = inputs.labels.roll({1}, {0});
  inputs.labels.fill_(1);
  others.labels.fill_(2);
  const double first = ValueOf(loss, inputs).item<double>();
  const double second = ValueOf(loss, others).item<double>();
  EXPECT_NE(first, own);
  inputs.mixed_labels = others.labels;
  inputs.label_share = 0.3;
  EXPECT_NEAR(ValueOf(loss, inputs).item<double>(), 0.3 * first + 0.7 * second, 1e-12);
}

TEST(FrskdClassifierLossTest, IsTheSumOfItsParts) {
  const LossInputs inputs = ImageInputs(3, false);
  const FrskdClassifierOptions options = SmallOptions();
  ASSERT_TRUE(options.Validate().ok()) << options.Validate();
  const auto loss = Make(options);
  Bifpn pyramid(options.self_teacher);
  pyramid->to(torch::kFloat64);
  const torch::NoGradGuard no_gradients;
  for (auto& item : pyramid->named_parameters()) {
    item.value().copy_(loss->named_parameters()["self_teacher." + item.key()]);
  }
  const Tensor &c1 = inputs.student.at("c1"), &c2 = inputs.student.at("c2");
  const BifpnOutputs refined = pyramid->forward({c1, c2});
  const Tensor ce = F::cross_entropy(refined.logits, inputs.labels.flatten(),
                                     F::CrossEntropyFuncOptions().ignore_index(kIgnore));
  const Tensor kd = F::kl_div(torch::log_softmax(inputs.student.at("logits").flatten(1) / 2, 1),
                              torch::softmax(refined.logits / 2, 1),
                              F::KLDivFuncOptions().reduction(torch::kBatchMean)) *
                    4;
  FrskdTerms terms({.student_channels = {3, 4}, .teacher_channels = {6, 8}});
  const Tensor at = (terms.Level(0, c1, refined.maps[0]) + terms.Level(1, c2, refined.maps[1])) / 3;
  const LossStatistics sums = loss->Local(inputs);
  EXPECT_NEAR(loss->Finish(sums).item<double>(), (ce + 2 * kd + 100 * at).item<double>(), 1e-9);
  const auto parts = loss->Parts(sums);
  EXPECT_NEAR(parts.at("self_teacher"), ce.item<double>(), 1e-10);
  EXPECT_NEAR(parts.at("soft_labels"), kd.item<double>(), 1e-10);
  EXPECT_NEAR(parts.at("features"), at.item<double>(), 1e-10);
}

TEST(FrskdClassifierLossTest, OnlyItsCrossEntropiesTrainTheSelfTeacher) {
  for (const FrskdFeatures form :
       {FrskdFeatures::kAttention, FrskdFeatures::kFitNet, FrskdFeatures::kOverhaul}) {
    const LossInputs inputs = ImageInputs(3, false);
    FrskdClassifierOptions options = SmallOptions(form);
    const auto with = GradientsOf(*Make(options), inputs);
    options.alpha = options.beta = 0;
    const auto without = GradientsOf(*Make(options), inputs);
    for (const auto& [name, gradient] : without) {
      if (name.rfind("self_teacher.", 0) != 0) continue;
      EXPECT_LT((with.at(name) - gradient).abs().max().item<double>(), 1e-12) << name;
    }
    const char* tap = form == FrskdFeatures::kOverhaul ? "c1_pre" : "c1";
    EXPECT_GT(without.at(tap).norm().item<double>(), 1e-6);
    EXPECT_GT((with.at(tap) - without.at(tap)).norm().item<double>(), 1e-6);
    EXPECT_GT(with.at("logits").norm().item<double>(), 1e-6);
  }
}

// Plain and averaged logits, plain and rotated maps, and the joint classifiers of both sides.
TEST(FrskdClassifierLossTest, WithLabelAugmentationTheTermsRunOverTheRotationsToo) {
  const LossInputs inputs = ImageInputs(3, /*rotated=*/true);
  FrskdClassifierOptions options = SmallOptions();
  options.sla = true;
  const auto loss = Make(options);
  EXPECT_TRUE(loss->reads_rotations());
  const auto gradients = GradientsOf(*loss, inputs);
  EXPECT_GT(gradients.at("joint.weight").norm().item<double>(), 1e-6);
  EXPECT_GT(gradients.at("self_teacher_joint.weight").norm().item<double>(), 1e-6);
  EXPECT_GT(inputs.rotated.at("c1").grad().norm().item<double>(), 1e-6);
  const LossStatistics sums = loss->Local(inputs);
  const auto parts = loss->Parts(sums);
  EXPECT_NEAR(loss->Finish(sums).item<double>(),
              parts.at("self_teacher") + 2 * parts.at("soft_labels") + 100 * parts.at("features") +
                  parts.at("joint") + parts.at("joint_soft_labels"),
              1e-9);
  // Without it the plain images alone.
  options.sla = false;
  EXPECT_FALSE(Make(options)->reads_rotations());
}

TEST(FrskdClassifierLossTest, OptionsAreChecked) {
  FrskdClassifierOptions options = SmallOptions();
  options.beta = -1;
  EXPECT_THAT(std::string(options.Validate().message()),
              HasSubstr("losses.frskd_classifier.beta: -1"));
  options = SmallOptions();
  options.self_teacher.channels = {3};
  EXPECT_FALSE(options.Validate().ok());
}

}  // namespace
}  // namespace reflux
