#include <gtest/gtest.h>

#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

using torch::Tensor;

// Backward through `loss`; every gradient must be there and finite. Returns the value.
double FiniteBackward(Loss& loss, LossInputs inputs) {
  for (auto& [tap, map] : inputs.student) map = map.detach().clone().requires_grad_();
  const Tensor value = ValueOf(loss, inputs);
  EXPECT_TRUE(value.isfinite().item<bool>());
  value.backward();
  for (const std::string& tap : loss.student_taps()) {
    const Tensor gradient = inputs.student.at(tap).grad();
    EXPECT_TRUE(gradient.defined() && gradient.isfinite().all().item<bool>()) << tap;
  }
  for (const auto& item : loss.named_parameters()) {
    EXPECT_TRUE(item.value().grad().defined() && item.value().grad().isfinite().all().item<bool>())
        << item.key();
  }
  return value.item<double>();
}

TEST(LossEdgesTest, IgnoredPixelsAloneGiveZeroConnectedToInputsAndParameters) {
  for (const NamedLoss& named : AllLosses()) {
    SCOPED_TRACE(named.name);
    const auto loss = named.make();
    LossInputs inputs = RandomInputs(2);
    inputs.labels.fill_(kIgnore);
    const double value = FiniteBackward(*loss, inputs);
    const bool reads_labels = named.name == "ce" || named.name.rfind("i2ckd", 0) == 0;
    if (reads_labels) {
      EXPECT_EQ(value, 0);
    } else {
      EXPECT_GT(value, 0);
    }
  }
}

TEST(LossEdgesTest, AnEmptyShareGivesZeroConnectedToInputsAndParameters) {
  for (const NamedLoss& named : AllLosses()) {
    SCOPED_TRACE(named.name);
    EXPECT_EQ(FiniteBackward(*named.make(), RandomInputs(0)), 0);
  }
}

TEST(LossEdgesTest, OneClassHasNoTriplet) {
  LossInputs inputs = RandomInputs(2);
  inputs.labels.fill_(1);
  for (const NamedLoss& named : AllLosses()) {
    SCOPED_TRACE(named.name);
    const double value = FiniteBackward(*named.make(), inputs);
    if (named.name.rfind("i2ckd", 0) == 0) {
      EXPECT_EQ(value, 0);
    }
  }
}

TEST(LossEdgesTest, OnePixelIsEnough) {
  LossInputs inputs;
  inputs.labels = torch::zeros({1, 1, 1}, torch::kInt64);
  for (auto* maps : {&inputs.student, &inputs.teacher}) {
    (*maps)["logits"] = RandomMap(1, kClasses, 1, 1);
    (*maps)["aux"] = RandomMap(1, kClasses, 1, 1);
  }
  inputs.student["aspp"] = RandomMap(1, kStudentWidth, 1, 1);
  inputs.teacher["aspp"] = RandomMap(1, kTeacherWidth, 1, 1);
  for (const NamedLoss& named : AllLosses()) {
    SCOPED_TRACE(named.name);
    const double value = FiniteBackward(*named.make(), inputs);
    // One class has no other to be told from; a softmax over one position is 1 for both networks.
    const bool compares_pixels = named.name != "ce" && named.name.rfind("kd", 0) != 0;
    if (compares_pixels) {
      EXPECT_NEAR(value, 0, 1e-12);
    } else {
      EXPECT_GT(value, 0);
    }
  }
}

// Logits as large as a half can hold, in single precision.
TEST(LossEdgesTest, HalfRangeInputsDoNotOverflow) {
  LossInputs inputs = RandomInputs(2);
  for (auto* maps : {&inputs.student, &inputs.teacher}) {
    for (auto& [tap, map] : *maps) map = (map.sign() * 65504).to(torch::kFloat32);
  }
  for (const NamedLoss& named : AllLosses()) {
    SCOPED_TRACE(named.name);
    const auto loss = named.make();
    loss->to(torch::kFloat32);
    const double value = FiniteBackward(*loss, inputs);
    EXPECT_GE(value, 0);
    // A network that is sure of the wrong class pays for the whole range.
    if (named.name == "ce" || named.name.rfind("kd", 0) == 0) {
      EXPECT_GT(value, 1000);
    }
  }
}

// Equal prototypes: the Euclidean distance of a positive is zero, where its derivative is infinite.
TEST(LossEdgesTest, AgreeingPrototypesHaveFiniteGradients) {
  for (const char* name : {"l2", "squared", "cosine"}) {
    I2ckdOptions options{.num_classes = kClasses};
    options.triplet = {.margin = 100, .distance = *ParsePrototypeDistance(name)};
    options.student_channels = options.teacher_channels = kTeacherWidth;
    I2ckdLoss loss(options);
    LossInputs inputs = RandomInputs(2);
    inputs.student["aspp"] = inputs.teacher["aspp"];
    EXPECT_GT(FiniteBackward(loss, inputs), 0) << name;
    inputs.student["aspp"] = torch::zeros_like(inputs.teacher["aspp"]);
    EXPECT_GT(FiniteBackward(loss, inputs), 0) << name;
  }
}

// Nearly flat maps, as at a high temperature: single precision keeps the divergences.
TEST(LossEdgesTest, IcsdKeepsPrecisionAtHighTemperature) {
  torch::manual_seed(3);
  const Tensor logits = RandomMap(1, kClasses, 32, 32);
  const IcsdOptions options{.temperature = 100};
  const Tensor exact = SimilarityMatrices(logits, options);
  const Tensor single = SimilarityMatrices(logits.to(torch::kFloat32), options);
  const double error = (single.to(torch::kFloat64) - exact).abs().max().item<double>();
  EXPECT_LT(error, 1e-3 * exact.abs().max().item<double>());
}

TEST(LossEdgesTest, AMissingMapIsNamed) {
  LossInputs inputs = RandomInputs(1);
  inputs.student.erase("aux");
  CrossEntropyLoss loss({});
  try {
    loss.Local(inputs);
    FAIL();
  } catch (const c10::Error& error) {
    EXPECT_NE(std::string(error.what()).find("'aux' of the student"), std::string::npos);
  }
}

TEST(LossEdgesTest, LabelsAreDownsampledByNearest) {
  const Tensor labels = torch::arange(6).view({1, 1, 6}).expand({1, 3, 6});
  EXPECT_TRUE(DownsampleLabels(labels, 2, 4)
                  .equal(torch::tensor({0, 1, 3, 4}).view({1, 1, 4}).expand({1, 2, 4})));
}

TEST(LossEdgesTest, AlignDependsOnTheSeedAlone) {
  const auto weight = [](int seed) {
    I2ckdOptions options{.num_classes = 2};
    options.student_channels = 3, options.teacher_channels = 5, options.seed = seed;
    return I2ckdLoss(options).named_parameters()["align.weight"].clone();
  };
  EXPECT_TRUE(weight(1).equal(weight(1)));
  EXPECT_FALSE(weight(1).equal(weight(2)));
}

TEST(LossEdgesTest, OptionsAreChecked) {
  EXPECT_FALSE(CrossEntropyOptions{.aux_weight = -1}.Validate().ok());
  EXPECT_FALSE(PixelKdOptions{.temperature = 0}.Validate().ok());
  EXPECT_FALSE(IcsdOptions{.temperature = -1}.Validate().ok());
  I2ckdOptions options{.num_classes = 3};
  EXPECT_FALSE(options.Validate().ok());  // no channels
  options.student_channels = options.teacher_channels = 8;
  EXPECT_TRUE(options.Validate().ok());
  options.triplet.margin = -1;
  EXPECT_FALSE(options.Validate().ok());
  EXPECT_FALSE(ParseIcsdForm("half").ok());
  EXPECT_FALSE(ParsePrototypeMean("median").ok());
}

}  // namespace
}  // namespace reflux
