// Tests that need a GPU.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdlib>
#include <string>

#include "job_plan/device_plan.h"

namespace reflux {

// $REFLUX_GPU_TEST_DEVICE=cpu tries the tests themselves where there is no GPU.
inline std::string GpuTestDevice() {
  const char* const name = std::getenv("REFLUX_GPU_TEST_DEVICE");
  return name != nullptr ? name : "cuda";
}

// Skips its tests where there is no GPU. The device is chosen before anything computes
// (PlanDevice).
class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    const auto device = PlanDevice(GpuTestDevice());
    if (!device.ok()) GTEST_SKIP() << device.status();
    device_ = *device;
  }
  torch::Device device_ = torch::kCPU;
};

// The largest difference, relative to the largest value of `reference` or to `least`.
inline double Difference(const torch::Tensor& value, const torch::Tensor& reference,
                         double least = 1e-6) {
  const torch::Tensor x = value.detach().to(torch::kCPU, torch::kFloat64);
  const torch::Tensor y = reference.detach().to(torch::kCPU, torch::kFloat64);
  if (y.numel() == 0) return 0;
  return (x - y).abs().max().item<double>() / std::max(least, y.abs().max().item<double>());
}

}  // namespace reflux
