// The losses without a teacher: gradients and edges, as gradient_test and loss_edges_test ask of
// the others; and that no loss of a job is left out of both lists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "reflux/v1/config.pb.h"
#include "tests/unit/distill/losses/central_differences.h"
#include "tests/unit/distill/losses/finite_backward.h"
#include "tests/unit/distill/losses/scratch_self_distillation.h"

namespace reflux {
namespace {

using torch::Tensor;

constexpr double kTolerance = 1e-7;

// Two or three entries of each: a self-teacher has many parameters.
int64_t StrideOf(const Tensor& leaf) { return 1 + leaf.numel() / 3; }

bool IsConnector(const std::string& parameter) { return parameter.rfind("terms.", 0) == 0; }

// The self-teacher's maps are constants in what they teach, so the value of the whole loss has the
// gradient only of what those do not come from: the student's logits and the connectors.
TEST(SelfDistillationTest, GradientsOfWhatIsTaughtAgreeWithCentralDifferences) {
  for (const SelfDistillation& named : SelfDistillationLosses()) {
    SCOPED_TRACE(named.name);
    const auto loss = named.make(/*distils=*/true);
    LossInputs inputs = named.Inputs(3);
    const auto value = [&] { return ValueOf(*loss, inputs); };
    const Tensor logits = inputs.student["logits"].requires_grad_();
    EXPECT_GT(torch::autograd::grad({value()}, {logits})[0].norm().item<double>(), 1e-8);
    EXPECT_LT(WorstDeviation(value, logits, 1), kTolerance);
    for (const auto& item : loss->named_parameters()) {
      if (!IsConnector(item.key())) continue;
      EXPECT_LT(WorstDeviation(value, item.value(), StrideOf(item.value())), kTolerance)
          << item.key();
    }
  }
}

// From the labels alone everything else learns: self-teacher, joint classifiers, and through them
// the student's maps.
TEST(SelfDistillationTest, GradientsOfTheCrossEntropiesAgreeWithCentralDifferences) {
  for (const SelfDistillation& named : SelfDistillationLosses()) {
    SCOPED_TRACE(named.name);
    const auto loss = named.make(/*distils=*/false);
    LossInputs inputs = named.Inputs(3);
    const auto value = [&] { return ValueOf(*loss, inputs); };
    auto& maps = named.rotates ? inputs.rotated : inputs.student;
    for (const std::string& tap : loss->student_taps()) {
      if (tap == "logits") continue;
      maps[tap].requires_grad_();
      EXPECT_GT(torch::autograd::grad({value()}, {maps[tap]})[0].norm().item<double>(), 1e-8);
      EXPECT_LT(WorstDeviation(value, maps[tap], StrideOf(maps[tap])), kTolerance) << tap;
    }
    for (const auto& item : loss->named_parameters()) {
      if (IsConnector(item.key())) continue;
      EXPECT_LT(WorstDeviation(value, item.value(), StrideOf(item.value())), kTolerance)
          << item.key();
    }
  }
}

// The terms hold maps against maps and read no label; the cross entropies alone are zero.
TEST(SelfDistillationTest, IgnoredLabelsAloneTeachNothing) {
  for (const SelfDistillation& named : SelfDistillationLosses()) {
    SCOPED_TRACE(named.name);
    LossInputs inputs = named.Inputs(3);
    inputs.labels.fill_(kIgnore);
    EXPECT_EQ(FiniteBackward(*named.make(/*distils=*/false), inputs), 0);
    EXPECT_GT(FiniteBackward(*named.make(/*distils=*/true), inputs), 0);
  }
}

TEST(SelfDistillationTest, OneClassIsEnough) {
  for (const SelfDistillation& named : SelfDistillationLosses()) {
    SCOPED_TRACE(named.name);
    LossInputs inputs = named.Inputs(3);
    inputs.labels.fill_(1);
    EXPECT_GT(FiniteBackward(*named.make(/*distils=*/true), inputs), 0);
  }
}

// Maps of one position and, where there is one label a pixel, labels of one pixel.
LossInputs OnePosition(LossInputs inputs, bool of_images) {
  for (auto* maps : {&inputs.student, &inputs.rotated}) {
    for (auto& [tap, map] : *maps) map = map.slice(2, 0, 1).slice(3, 0, 1);
  }
  if (!of_images) inputs.labels = torch::zeros({inputs.labels.size(0), 1, 1}, torch::kInt64);
  return inputs;
}

// A self-teacher's norms need two values of each channel. That is all an empty share or a lone
// pixel can be refused for: a rank without an image learns from the others' (loss_ranks_test).
TEST(SelfDistillationTest, OnePixelIsEnoughWhereTheNormsHaveTwo) {
  for (const SelfDistillation& named : SelfDistillationLosses()) {
    SCOPED_TRACE(named.name);
    const auto loss = named.make(/*distils=*/true);
    EXPECT_GT(FiniteBackward(*loss, OnePosition(named.Inputs(2), named.of_images)), 0);
    if (named.name == "sla") continue;  // has no norm
    try {
      ValueOf(*named.make(/*distils=*/true), OnePosition(named.Inputs(1), named.of_images));
      FAIL();
    } catch (const c10::Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("train with at least two images"));
    }
  }
}

// Maps as large as a half can hold, in single precision.
TEST(SelfDistillationTest, HalfRangeInputsDoNotOverflow) {
  for (const SelfDistillation& named : SelfDistillationLosses()) {
    SCOPED_TRACE(named.name);
    LossInputs inputs = named.Inputs(3);
    for (auto* maps : {&inputs.student, &inputs.rotated}) {
      for (auto& [tap, map] : *maps) map = (map.sign() * 65504).to(torch::kFloat32);
    }
    const auto loss = named.make(/*distils=*/true);
    loss->to(torch::kFloat32);
    // A classifier that is sure of the wrong class pays for the whole range.
    EXPECT_GT(FiniteBackward(*loss, inputs), 1000);
  }
}

TEST(SelfDistillationTest, EveryLossOfAJobIsInOneOfTheLists) {
  std::set<std::string> names;
  for (const NamedLoss& named : AllLosses()) names.insert(named.name);
  for (const SelfDistillation& named : SelfDistillationLosses()) names.insert(named.name);
  const auto* losses = v1::LossesSpec::descriptor();
  for (int i = 0; i < losses->field_count(); ++i) {
    const std::string field(losses->field(i)->name());
    EXPECT_TRUE(std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return name == field || name.rfind(field + "_", 0) == 0;
    })) << field;
  }
}

}  // namespace
}  // namespace reflux
