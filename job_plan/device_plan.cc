#include "job_plan/device_plan.h"

#include <ATen/Context.h>
#include <dlfcn.h>
#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

// Why LibTorch's CUDA part is not there; empty: it is loaded, or there is no driver to use it with.
std::string LoadCudaPart() {
  if (dlopen("libcuda.so.1", RTLD_NOW) == nullptr) return "";
  // Global: the NCCL module shares it. Our programs' search path leads to LibTorch's folder.
  return dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) != nullptr ? "" : dlerror();
}

const std::string& CudaPartProblem() {
  static const auto* const problem = new std::string(LoadCudaPart());
  return *problem;
}

std::string HowToGetCuda() {
  const std::string& problem = CudaPartProblem();
  return absl::StrCat("LibTorch sees no GPU (run deploy/setup.sh --cuda; check nvidia-smi)",
                      problem.empty() ? "" : absl::StrCat(": ", problem));
}

}  // namespace

absl::StatusOr<torch::Device> PlanDevice(const std::string& name, int rank) {
  if (name == "cpu") return torch::Device(torch::kCPU);
  if (name != "auto" && name != "cuda") {
    return absl::InvalidArgumentError(
        absl::StrCat("device: '", name, "' is none of cpu, cuda, auto"));
  }
  const std::string& problem = CudaPartProblem();
  const auto gpus = static_cast<int>(torch::cuda::device_count());
  if (gpus > 0) return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(rank % gpus));
  if (name == "cuda") {
    return absl::FailedPreconditionError(
        absl::StrCat("device: cuda was asked for, but ", HowToGetCuda()));
  }
  if (!problem.empty()) spdlog::warn("device: auto takes the CPU: {}", HowToGetCuda());
  return torch::Device(torch::kCPU);
}

void SetGpuArithmetic(bool tf32) {
  auto& context = at::globalContext();
  context.setBenchmarkCuDNN(false);
  context.setDeterministicCuDNN(true);
  context.setAllowTF32CuDNN(tf32);
  context.setAllowTF32CuBLAS(tf32);
}

}  // namespace reflux
