#include "job_plan/device_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

namespace reflux {
namespace {

TEST(PlanDeviceTest, GpuByItsNameOnTheMachine) {
  EXPECT_EQ(VisibleGpu(1, nullptr), "1");
  EXPECT_EQ(VisibleGpu(1, "3, 5"), "5");
  EXPECT_EQ(VisibleGpu(0, "GPU-8932f937"), "GPU-8932f937");
  EXPECT_EQ(GpuOf(torch::kCPU), "");
  EXPECT_NE(GpuOf({torch::kCUDA, 0}), GpuOf({torch::kCUDA, 1}));
}

TEST(PlanDeviceTest, NamesAndWhatIsThere) {
  EXPECT_TRUE(PlanDevice("cpu").value().is_cpu());
  EXPECT_THAT(PlanDevice("gpu").status().message(), testing::HasSubstr("none of cpu, cuda, auto"));
  const auto automatic = PlanDevice("auto"), cuda = PlanDevice("cuda");
  ASSERT_TRUE(automatic.ok()) << automatic.status();
  if (torch::cuda::device_count() == 0) {
    EXPECT_TRUE(automatic->is_cpu());
    EXPECT_THAT(cuda.status().message(), testing::HasSubstr("deploy/setup.sh --cuda"));
    return;
  }
  EXPECT_TRUE(automatic->is_cuda());
  const int gpus = static_cast<int>(torch::cuda::device_count());
  EXPECT_EQ(PlanDevice("cuda", gpus).value().index(), 0);
  EXPECT_EQ(PlanDevice("cuda", gpus - 1).value().index(), gpus - 1);
}

}  // namespace
}  // namespace reflux
