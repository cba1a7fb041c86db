#include "distill/evaluation/confusion_matrix.h"

#include <gtest/gtest.h>

#include <cmath>

namespace reflux {
namespace {

const torch::Tensor kLabels = torch::tensor({0, 0, 1, 1, 255}, torch::kInt64);
const torch::Tensor kPredictions = torch::tensor({0, 1, 1, 1, 9}, torch::kInt64);

TEST(ConfusionMatrixTest, CountsRowsAsLabelsAndLeavesIgnoredPixelsOut) {
  ConfusionMatrix matrix(3);
  matrix.Add(kPredictions, kLabels, 255);
  EXPECT_TRUE(matrix.counts().equal(
      torch::tensor({1, 1, 0, 0, 2, 0, 0, 0, 0}, torch::kInt64).view({3, 3})));
  EXPECT_DOUBLE_EQ(matrix.PixelAccuracy(), 0.75);
  EXPECT_DOUBLE_EQ(matrix.ClassIou()[0], 0.5);
  EXPECT_DOUBLE_EQ(matrix.ClassIou()[1], 2.0 / 3);
  EXPECT_TRUE(std::isnan(matrix.ClassIou()[2]));
}

TEST(ConfusionMatrixTest, AbsentClassesAreLeftOutUnlessAsPublished) {
  ConfusionMatrix matrix(3);
  matrix.Add(kPredictions, kLabels, 255);
  EXPECT_DOUBLE_EQ(matrix.MeanIou(), (0.5 + 2.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(matrix.MeanIouPublished(), (0.5 + 2.0 / 3) / 3);
}

TEST(ConfusionMatrixTest, MergeIsAddingEverythingToOne) {
  ConfusionMatrix one(3), first(3), second(3);
  one.Add(kPredictions, kLabels, 255);
  first.Add(kPredictions.slice(0, 0, 2), kLabels.slice(0, 0, 2), 255);
  second.Add(kPredictions.slice(0, 2), kLabels.slice(0, 2), 255);
  first.Merge(second);
  EXPECT_TRUE(first.counts().equal(one.counts()));
  EXPECT_THROW(first.Merge(ConfusionMatrix(1)), c10::Error);
}

TEST(ConfusionMatrixTest, NothingCountedIsZero) {
  ConfusionMatrix matrix(2);
  matrix.Add(torch::zeros({3}, torch::kInt64), torch::full({3}, 255, torch::kInt64), 255);
  EXPECT_EQ(matrix.MeanIou(), 0);
  EXPECT_EQ(matrix.PixelAccuracy(), 0);
}

TEST(ConfusionMatrixTest, ValuesThatAreNoClassAreRefused) {
  ConfusionMatrix matrix(2);
  const torch::Tensor zero = torch::zeros({1}, torch::kInt64), two = 2 + zero;
  EXPECT_THROW(matrix.Add(zero, two, 255), c10::Error);
  EXPECT_THROW(matrix.Add(two, zero, 255), c10::Error);
  EXPECT_EQ(matrix.counts().sum().item<int64_t>(), 0);
}

}  // namespace
}  // namespace reflux
