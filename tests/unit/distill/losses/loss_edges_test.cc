#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/distill/losses/finite_backward.h"
#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

using torch::Tensor;

TEST(LossEdgesTest, IgnoredPixelsAloneGiveZeroConnectedToInputsAndParameters) {
  for (const NamedLoss& named : AllLosses()) {
    SCOPED_TRACE(named.name);
    const auto loss = named.make();
    LossInputs inputs = RandomInputs(2);
    inputs.labels.fill_(kIgnore);
    const double value = FiniteBackward(*loss, inputs);
    const bool reads_labels =
        named.name == "ce" || named.name == "ifvd" || named.name == "cirkd_memory" ||
        (named.name.rfind("i2ckd", 0) == 0 && named.name != "i2ckd_teacher_labels");
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
    if (named.name.rfind("i2ckd", 0) == 0 && named.name != "i2ckd_teacher_labels") {
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
    const bool compares_pixels =
        named.name != "ce" && named.name != "fitnet" && named.name != "cwd_spatial" &&
        named.name != "icsd_gram" && named.name != "cirkd_memory" &&
        named.name != "own_feature_cosine" && named.name.rfind("kd", 0) != 0 &&
        named.name.rfind("afdcd", 0) != 0;
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

// What i2ckd reports beside its value. On one image every form takes the same prototypes.
TEST(LossEdgesTest, PrototypeDistancesAreReported) {
  LossInputs inputs = RandomInputs(1);
  const auto parts_of = [&](I2ckdOptions::Mean mean) {
    I2ckdOptions options{.num_classes = kClasses, .mean = mean};
    options.student_channels = options.teacher_channels = kTeacherWidth;
    I2ckdLoss loss(options);
    return loss.Parts(loss.Local(inputs));
  };
  inputs.student["aspp"] = RandomMap(1, kTeacherWidth, 5, 6);
  const auto batch = parts_of(I2ckdOptions::Mean::kBatch);
  const auto image = parts_of(I2ckdOptions::Mean::kPerImage);
  EXPECT_GT(batch.at("intra"), 0);
  EXPECT_NEAR(batch.at("intra"), image.at("intra"), 1e-12);
  EXPECT_NEAR(batch.at("inter"), image.at("inter"), 1e-12);
  inputs.student["aspp"] = inputs.teacher["aspp"];
  EXPECT_NEAR(parts_of(I2ckdOptions::Mean::kBatch).at("intra"), 0, 1e-12);
  EXPECT_GT(parts_of(I2ckdOptions::Mean::kBatch).at("inter"), 0);
}

TEST(LossEdgesTest, PartsOfAfdcdMakeUpItsValue) {
  const auto loss = MakeAfdcd(DenseContrastOptions::Negatives::kOmni, AfdcdOptions::Mask::kCentre,
                              AfdcdProjectorKind::kPlain);
  const LossStatistics statistics = loss->Local(RandomInputs(2));
  const auto parts = loss->Parts(statistics);
  EXPECT_NEAR(0.01 * parts.at("feature") + 0.1 * parts.at("contrast"),
              loss->Finish(statistics).item<double>(), 1e-10);
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

// Too narrow here for a gradient check that no dead unit hides.
TEST(LossEdgesTest, TheBottleneckProjectorIsAQuarterAsWide) {
  const auto projector = MakeAfdcdProjector(AfdcdProjectorKind::kBottleneck, 64);
  EXPECT_EQ(projector->named_parameters()["mix.weight"].sizes(),
            (std::vector<int64_t>{16, 16, 3, 3}));
  const Tensor map = torch::randn({2, 64, 5, 6}).requires_grad_();
  const Tensor out = projector->forward(map);
  EXPECT_EQ(out.sizes(), map.sizes());
  out.square().sum().backward();
  for (const auto& item : projector->named_parameters()) {
    EXPECT_GT(item.value().grad().norm().item<double>(), 0) << item.key();
  }
}

TEST(LossEdgesTest, TheMaskDependsOnSeedStepAndPositionAlone) {
  const auto loss = MakeAfdcd(DenseContrastOptions::Negatives::kOmni, AfdcdOptions::Mask::kRandom,
                              AfdcdProjectorKind::kBottleneck);
  LossInputs inputs;
  inputs.step = 3, inputs.first_position = 4;
  inputs.teacher["aspp"] = torch::zeros({2, kTeacherWidth, 40, 50}, torch::kFloat64);
  const Tensor both = loss->MaskFor(inputs);
  EXPECT_NEAR(both.mean().item<double>(), 0.6, 0.03);  // mask_ratio is 0.4
  EXPECT_FALSE(both[0].equal(both[1]));
  LossInputs second = inputs;
  second.first_position = 5;
  second.teacher["aspp"] = inputs.teacher["aspp"].slice(0, 1);
  EXPECT_TRUE(loss->MaskFor(second)[0].equal(both[1]));
  inputs.step = 4;
  EXPECT_FALSE(loss->MaskFor(inputs).equal(both));
}

// A map that the patch does not divide loses the rest; a smaller one is one patch.
TEST(LossEdgesTest, ContrastCutsMapsToWholePatches) {
  DenseContrastOptions options{.groups = 1, .pool = 0};
  EXPECT_EQ(ContrastMap(torch::zeros({1, 2, 9, 11}), options).sizes(),
            (std::vector<int64_t>{1, 2, 8, 8}));
  EXPECT_EQ(ContrastMap(torch::zeros({1, 2, 3, 5}), options).sizes(),
            (std::vector<int64_t>{1, 2, 3, 4}));
  options.negatives = DenseContrastOptions::Negatives::kChannel;
  EXPECT_EQ(ContrastMap(torch::zeros({1, 2, 9, 11}), options).sizes(),
            (std::vector<int64_t>{1, 2, 9, 11}));
}

TEST(LossEdgesTest, FeatureLossOptionsAreChecked) {
  const TapLossOptions tap{.student_channels = 3, .teacher_channels = 5};
  EXPECT_EQ(std::string(TapLossOptions().Validate("fitnet").message()),
            "losses.fitnet.tap: 'aspp' has no channels");
  EXPECT_TRUE((ChannelWiseOptions{.tap = tap}.Validate().ok()));
  EXPECT_FALSE((ChannelWiseOptions{.tap = tap, .temperature = 0}.Validate().ok()));
  EXPECT_FALSE((PairwiseOptions{.tap = tap, .pool = 0}.Validate().ok()));
  EXPECT_FALSE((CategorySimilarityOptions{.tap = tap, .temperature = -1}.Validate().ok()));
  EXPECT_FALSE((AttentionTransferOptions{.tap = tap, .power = 0}.Validate().ok()));
  EXPECT_FALSE(IfvdOptions{.tap = tap}.Validate().ok());  // no classes
  EXPECT_FALSE(ParseCwdNorm("pixel").ok());
  EXPECT_FALSE(ParseCwdDivideBy("positions").ok());
}

TEST(LossEdgesTest, AfdcdOptionsAreChecked) {
  AfdcdOptions options;
  options.student_channels = options.teacher_channels = 24;
  EXPECT_THAT(std::string(options.Validate().message()), testing::HasSubstr("groups: 16 does not"));
  options.contrast.groups = 8;
  EXPECT_TRUE(options.Validate().ok());
  options.mask_ratio = 1;
  EXPECT_FALSE(options.Validate().ok());
  options.mask_ratio = 0.5, options.contrast.crop_height = 4;
  EXPECT_FALSE(options.Validate().ok());  // no width
  EXPECT_FALSE(ParseAfdcdMask("half").ok());
  EXPECT_FALSE(ParseAfdcdProjector("deep").ok());
  EXPECT_FALSE(ParseContrastNegatives("none").ok());
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
