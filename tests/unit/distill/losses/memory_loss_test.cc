// The memory of CIRKD: what it takes in and when. That ranks agree: loss_ranks_test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {
namespace {

using torch::Tensor;

std::shared_ptr<MemoryLoss> MakeMemory() {
  const TapLossOptions aspp{
      .student_channels = kStudentWidth, .teacher_channels = kTeacherWidth, .seed = 7};
  auto loss = std::make_shared<MemoryLoss>(
      MemoryOptions{.tap = aspp, .num_classes = kClasses, .pixel_queue = 9, .region_queue = 3});
  PlaceModule(*loss, torch::kCPU, torch::kFloat64, /*channels_last=*/false);
  return loss;
}

TEST(FeatureQueueTest, KeepsTheNewestOfEachClass) {
  FeatureQueue queue(2, 3, 1);
  EXPECT_EQ(queue->Sample(5, 0, 0).size(0), 0);
  queue->Push(1, torch::tensor({{1.0}, {2.0}}));
  queue->Push(1, torch::tensor({{3.0}, {4.0}}));
  std::vector<float> held;
  const Tensor sample = queue->Sample(5, 0, 0);
  for (int64_t i = 0; i < sample.size(0); ++i) held.push_back(sample[i][0].item<float>());
  EXPECT_THAT(held, testing::UnorderedElementsAre(2, 3, 4));
  EXPECT_EQ(queue->Sample(2, 0, 0).size(0), 2);
}

TEST(FeatureQueueTest, ASampleDependsOnSeedAndStepAlone) {
  FeatureQueue queue(1, 50, 1);
  queue->Push(0, torch::arange(50, torch::kFloat32).unsqueeze(1));
  EXPECT_TRUE(queue->Sample(10, 1, 2).equal(queue->Sample(10, 1, 2)));
  EXPECT_FALSE(queue->Sample(10, 1, 2).equal(queue->Sample(10, 1, 3)));
  EXPECT_FALSE(queue->Sample(10, 1, 2).equal(queue->Sample(10, 2, 2)));
}

// The first batch finds an empty memory; the next is held against it. Not in training mode the
// memory stays as it is.
TEST(MemoryLossTest, TakesInABatchAfterItIsCompared) {
  const auto loss = MakeMemory();
  const LossInputs inputs = RandomInputs(2);
  EXPECT_EQ(ValueOf(*loss, inputs).item<double>(), 0);
  const double second = ValueOf(*loss, inputs).item<double>();
  EXPECT_GT(second, 0);
  loss->eval();
  const auto before = loss->named_buffers()["pixels.written"].clone();
  EXPECT_GT(before.sum().item<int64_t>(), 0);
  ValueOf(*loss, inputs);
  EXPECT_TRUE(loss->named_buffers()["pixels.written"].equal(before));
}

TEST(MemoryLossTest, PartsAreReported) {
  const auto loss = MakeMemory();
  const LossInputs inputs = RandomInputs(2);
  ValueOf(*loss, inputs);
  const LossStatistics statistics = loss->Local(inputs);
  const auto parts = loss->Parts(statistics);
  EXPECT_GT(parts.at("pixel"), 0);
  EXPECT_GT(parts.at("region"), 0);
  EXPECT_NEAR(loss->Finish(statistics).item<double>(),
              0.1 * parts.at("pixel") + 0.1 * parts.at("region"), 1e-12);
}

}  // namespace
}  // namespace reflux
