// Where networks run.
#pragma once

#include <torch/types.h>

#include <string>

#include "absl/status/statusor.h"

namespace reflux {

// A device by name: "cpu", "cuda", or "auto" (a GPU when there is one). On a machine with several
// GPUs, rank r of a job takes number r modulo their count. The first call on a machine with an
// NVIDIA driver loads LibTorch's CUDA part, which our programs do not link; it must come before the
// first convolution or backward of the process, which would make LibTorch remember that there is no
// CUDA. A GPU is also set to compute without TF32 and by deterministic cuDNN algorithms, for the
// whole process. FailedPrecondition, with what to do, when "cuda" is not there; InvalidArgument for
// another name. Thread-safe.
absl::StatusOr<torch::Device> PlanDevice(const std::string& name, int rank = 0);

// Warns, naming `field` of the job, when networks there would compute in bf16 and the processor has
// no fast way to.
void WarnOfSlowBf16(const torch::Device& device, bool bf16, const std::string& field);

// Which GPU of which machine `device` is, the same text in all processes that use it; empty for the
// CPU.
std::string GpuOf(const torch::Device& device);

// The GPU's name on its machine, by its index among those that a process sees: `visible` is
// CUDA_VISIBLE_DEVICES, null where it is not set.
std::string VisibleGpu(int index, const char* visible);

}  // namespace reflux
