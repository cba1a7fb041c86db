#include "job_plan/device_plan.h"

#include <ATen/Context.h>
#include <dlfcn.h>
#include <spdlog/spdlog.h>
#include <torch/cuda.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/boot_id.h"
#include "common/base/processor.h"

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

// float32 is float32 (LibTorch would round what convolutions read to TF32), and cuDNN neither
// chooses algorithms by the clock nor takes those that add in another order each time.
bool SettleArithmetic() {
  at::Context& context = at::globalContext();
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
  context.setBenchmarkCuDNN(false);
  context.setDeterministicCuDNN(true);
  return true;
}

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
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
  if (gpus > 0) {
    [[maybe_unused]] static const bool settled = SettleArithmetic();
    return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(rank % gpus));
  }
  if (name == "cuda") {
    return absl::FailedPreconditionError(
        absl::StrCat("device: cuda was asked for, but ", HowToGetCuda()));
  }
  if (!problem.empty()) spdlog::warn("device: auto takes the CPU: {}", HowToGetCuda());
  return torch::Device(torch::kCPU);
}

void WarnOfSlowBf16(const torch::Device& device, bool bf16, const std::string& field) {
  if (!bf16 || !device.is_cpu() || ComputesBf16Fast()) return;
  spdlog::warn("{}: bf16 is many times slower than fp32 here: this processor has no AVX-512",
               field);
}

std::string VisibleGpu(int index, const char* visible) {
  if (visible == nullptr) return absl::StrCat(index);
  const std::vector<std::string> listed = absl::StrSplit(visible, ',');
  if (index >= static_cast<int>(listed.size())) return absl::StrCat(index);
  return std::string(absl::StripAsciiWhitespace(listed[index]));
}

std::string GpuOf(const torch::Device& device) {
  if (!device.is_cuda()) return "";
  return absl::StrCat(HostName(), "/", BootId(), "/",
                      VisibleGpu(device.index(), std::getenv("CUDA_VISIBLE_DEVICES")));
}

}  // namespace reflux
