// Padding of derived maps teaches the student nothing (LossInputs::padding).
#include <gtest/gtest.h>

#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/loss_set.h"
#include "distill/losses/pixel_kd_loss.h"
#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

LossInputs Scene() {
  torch::manual_seed(1);
  LossInputs inputs;
  inputs.student["logits"] = torch::randn({2, 4, 6, 8}, torch::kFloat64).requires_grad_();
  inputs.teacher["logits"] = torch::randn({2, 4, 6, 8}, torch::kFloat64);
  inputs.labels = torch::randint(0, 4, {2, 48, 64}, torch::kInt64);
  return inputs;
}

// Of the second image only the upper left 24 x 40 pixels are image: 3 x 5 positions.
torch::Tensor Padding() {
  torch::Tensor padding = torch::zeros({2, 48, 64}, torch::kBool);
  padding[1].fill_(true);
  padding[1].slice(0, 0, 24).slice(1, 0, 40).fill_(false);
  return padding;
}

LossResult Compute(const std::string& name, std::shared_ptr<Loss> loss, const LossInputs& inputs) {
  LossSet set(std::vector<LossTerm>{{.name = name, .loss = std::move(loss)}});
  SingleProcessCollectives one;
  return set.Compute(inputs, 0, 1, one, false);
}

TEST(WithoutPadding, IsTheSameWithoutIt) {
  const LossInputs inputs = Scene();
  const LossInputs same = WithoutPadding(inputs);
  EXPECT_TRUE(same.student.at("logits").is_same(inputs.student.at("logits")));
}

TEST(WithoutPadding, ExcludesPositionsFromTermsThatReadATeacher) {
  LossInputs inputs = Scene();
  inputs.padding = Padding();
  Compute("kd", std::make_shared<PixelKdLoss>(PixelKdOptions{}), inputs).total.backward();
  const torch::Tensor gradient = inputs.student.at("logits").grad().abs().sum(1);
  EXPECT_GT(gradient[0].min().item<double>(), 0);
  EXPECT_GT(gradient[1].slice(0, 0, 3).slice(1, 0, 5).min().item<double>(), 0);
  EXPECT_EQ(gradient[1].slice(0, 3, 6).sum().item<double>(), 0);
  EXPECT_EQ(gradient[1].slice(1, 5, 8).sum().item<double>(), 0);

  // What a derived map holds there counts for nothing.
  LossInputs other = inputs;
  other.teacher["logits"] = inputs.teacher.at("logits").clone();
  other.teacher["logits"][1].slice(1, 3, 6).fill_(7);
  const auto value = [](const LossInputs& of) {
    return Compute("kd", std::make_shared<PixelKdLoss>(PixelKdOptions{}), of).total_value;
  };
  EXPECT_EQ(value(inputs), value(other));
}

// Its biases make something of the 0 that it is given: docs/data.md says so.
TEST(WithoutPadding, TeachesAfdcdsOwnLayersAlone) {
  LossInputs inputs = RandomInputs(2);
  inputs.padding = torch::ones({2, 11, 13}, torch::kBool);
  const torch::Tensor student = inputs.student["aspp"].requires_grad_();
  const auto afdcd = MakeAfdcd(DenseContrastOptions::Negatives::kOmni, AfdcdOptions::Mask::kCentre,
                               AfdcdProjectorKind::kPlain);
  Compute("afdcd", afdcd, inputs).total.backward();
  EXPECT_EQ(student.grad().abs().max().item<double>(), 0);
  for (const char* bias : {"align.bias", "projetor.2.bias"}) {
    EXPECT_GT(afdcd->named_parameters()[bias].grad().norm().item<double>(), 0) << bias;
  }
}

TEST(WithoutPadding, LeavesTermsWithoutTeacherAlone) {
  LossInputs inputs = Scene();
  const auto value = [&] {
    return Compute("ce", std::make_shared<CrossEntropyLoss>(CrossEntropyOptions{.aux_weight = 0}),
                   inputs)
        .total_value;
  };
  const double before = value();
  inputs.padding = Padding();
  EXPECT_EQ(value(), before);
}

}  // namespace
}  // namespace reflux
