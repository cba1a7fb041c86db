// A reduction at the teacher changes no loss: value and gradient with and without it.
#include <gtest/gtest.h>

#include <functional>

#include "common/targets/target.h"
#include "distill/losses/afdcd_loss.h"
#include "distill/losses/i2ckd_loss.h"
#include "distill/teacher/reduce_map.h"

namespace reflux {
namespace {

constexpr int64_t kImages = 3, kClasses = 5, kIgnore = 255;

// Maps of both sides and labels at eight times their height and width, some ignored.
LossInputs Scene(int64_t student_channels, int64_t teacher_channels, const std::string& tap,
                 torch::ScalarType type) {
  torch::manual_seed(3);
  LossInputs inputs{.ignore_index = kIgnore};
  inputs.student[tap] = torch::randn({kImages, student_channels, 13, 18}, type).requires_grad_();
  inputs.teacher[tap] = torch::randn({kImages, teacher_channels, 13, 18}, torch::kFloat32);
  inputs.labels = torch::randint(0, kClasses + 1, {kImages, 104, 144}, torch::kInt64);
  inputs.labels.masked_fill_(inputs.labels.eq(kClasses), kIgnore);
  return inputs;
}

// The same, the teacher's map reduced image by image as a teacher does.
LossInputs Reduced(const LossInputs& inputs, const std::string& tap, Reduction reduction) {
  LossInputs result = inputs;
  std::vector<torch::Tensor> maps;
  for (int64_t i = 0; i < kImages; ++i) {
    maps.push_back(
        ReduceMap(inputs.teacher.at(tap)[i], reduction, {inputs.labels[i], kClasses, kIgnore})
            .value());
  }
  result.teacher = {{TargetName(tap, reduction), torch::stack(maps)}};
  return result;
}

struct Outcome {
  double value;
  torch::Tensor gradient;
};

Outcome OutcomeOf(Loss& loss, LossInputs inputs, const std::string& tap) {
  for (auto& [name, map] : inputs.teacher) map = map.to(inputs.student.at(tap).dtype());
  inputs.student.at(tap).mutable_grad() = torch::Tensor();
  const torch::Tensor value = loss.Finish(loss.Local(inputs));
  value.backward();
  return {value.item<double>(), inputs.student.at(tap).grad().clone()};
}

class ClassSumsTest : public testing::TestWithParam<I2ckdOptions::Mean> {};

TEST_P(ClassSumsTest, I2ckdIsTheSame) {
  I2ckdOptions options{.num_classes = kClasses,
                       .mean = GetParam(),
                       .student_channels = 6,
                       .teacher_channels = 9,
                       .seed = 4};
  I2ckdLoss whole(options);
  options.reduced = true;
  ASSERT_TRUE(options.Validate().ok());
  I2ckdLoss reduced(options);
  ASSERT_EQ(reduced.teacher_taps(), std::vector<std::string>{"aspp|class_sums"});
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    whole.to(type), reduced.to(type);
    const LossInputs inputs = Scene(6, 9, "aspp", type);
    const Outcome a = OutcomeOf(whole, inputs, "aspp");
    const Outcome b = OutcomeOf(reduced, Reduced(inputs, "aspp", Reduction::kClassSums), "aspp");
    ASSERT_GT(a.value, 0.1);
    // Each sum is rounded once more, to float32.
    EXPECT_NEAR(a.value, b.value, 2e-7 * a.value);
    EXPECT_TRUE(torch::allclose(a.gradient, b.gradient, 1e-5, 1e-9));
  }
}
INSTANTIATE_TEST_SUITE_P(Means, ClassSumsTest,
                         testing::Values(I2ckdOptions::Mean::kBatch, I2ckdOptions::Mean::kImageMean,
                                         I2ckdOptions::Mean::kPerImage));

TEST(ClassSumsTest, OfAnImageWithoutLabelAreZero) {
  const torch::Tensor map = torch::randn({4, 3, 5});
  const torch::Tensor sums =
      ReduceMap(map, Reduction::kClassSums,
                {torch::full({24, 40}, kIgnore, torch::kInt64), kClasses, kIgnore})
          .value();
  EXPECT_EQ(sums.sizes(), (std::vector<int64_t>{5, kClasses, 1}));
  EXPECT_EQ(sums.abs().sum().item<float>(), 0);
}

TEST(ClassSumsTest, AnotherNumberOfClassesIsRefused) {
  I2ckdLoss loss(
      {.num_classes = kClasses + 1, .student_channels = 9, .teacher_channels = 9, .reduced = true});
  const LossInputs inputs =
      Reduced(Scene(9, 9, "aspp", torch::kFloat32), "aspp", Reduction::kClassSums);
  EXPECT_THROW(loss.Local(inputs), c10::Error);
}

TEST(ClassSumsTest, TheTeachersOwnClassesAreNotSummedByLabels) {
  I2ckdOptions options{.num_classes = kClasses, .student_channels = 9, .teacher_channels = 9};
  options.labels = I2ckdOptions::Labels::kTeacher;
  EXPECT_TRUE(options.Validate().ok());
  options.reduced = true;
  EXPECT_TRUE(absl::IsInvalidArgument(options.Validate()));
}

AfdcdOptions ContrastAlone(int64_t crop) {
  AfdcdOptions options{
      .feature_weight = 0, .contrast_weight = 0.5, .student_channels = 6, .teacher_channels = 8};
  options.contrast.groups = 4;
  options.contrast.pool = 3;
  options.contrast.patch_height = options.contrast.patch_width = 2;
  options.contrast.crop_height = options.contrast.crop_width = crop;
  return options;
}

TEST(MaxPoolTest, AfdcdContrastIsTheSameToTheBit) {
  for (const int64_t crop : {0, 3, 7, 12, 100}) {
    AfdcdOptions options = ContrastAlone(crop);
    AfdcdLoss whole(options);
    options.reduced = true;
    ASSERT_TRUE(options.Validate().ok());
    AfdcdLoss reduced(options);
    ASSERT_EQ(reduced.teacher_taps(), std::vector<std::string>{"c4|max_pool:3"});
    const LossInputs inputs = Scene(6, 8, "c4", torch::kFloat32);
    const Outcome a = OutcomeOf(whole, inputs, "c4");
    const Outcome b = OutcomeOf(reduced, Reduced(inputs, "c4", MaxPool(3)), "c4");
    ASSERT_GT(a.value, 0.1);
    EXPECT_EQ(a.value, b.value) << crop;
    EXPECT_TRUE(torch::equal(a.gradient, b.gradient)) << crop;
  }
}

TEST(MaxPoolTest, IsRefusedWhereTheLossWouldDiffer) {
  const std::vector<std::function<void(AfdcdOptions&)>> changes = {
      [](AfdcdOptions& options) { options.feature_weight = 1e-6; },
      [](AfdcdOptions& options) { options.contrast.pool = 0; },
      [](AfdcdOptions& options) { options.contrast.pool = 64; },
      // The window would shrink to the crop on the student's side alone.
      [](AfdcdOptions& options) { options.contrast.crop_height = 2; }};
  for (size_t i = 0; i < changes.size(); ++i) {
    AfdcdOptions options = ContrastAlone(12);
    options.reduced = true;
    changes[i](options);
    EXPECT_TRUE(absl::IsInvalidArgument(options.Validate())) << i;
  }
}

TEST(MaxPoolTest, CommutesWithRounding) {
  const torch::Tensor map = torch::randn({4, 9, 9});
  const auto pool = [](const torch::Tensor& of) { return ReduceMap(of, MaxPool(4), {}).value(); };
  EXPECT_EQ(pool(map).sizes(), (std::vector<int64_t>{4, 2, 2}));
  for (const auto type : {torch::kFloat16, torch::kBFloat16}) {
    const torch::Tensor rounded = map.to(type).to(torch::kFloat32);
    EXPECT_TRUE(torch::equal(pool(rounded), pool(map).to(type).to(torch::kFloat32)));
  }
}

}  // namespace
}  // namespace reflux
