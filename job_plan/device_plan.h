// Where networks run.
#pragma once

#include <torch/torch.h>

#include <string>

#include "absl/status/statusor.h"

namespace reflux {

// A device by name: "cpu", "cuda", or "auto" (a GPU when there is one). On a machine with several
// GPUs, rank r of a job takes number r modulo their count. The first call on a machine with an
// NVIDIA driver loads LibTorch's CUDA part, which our programs do not link. FailedPrecondition,
// with what to do, when "cuda" is not there; InvalidArgument for another name. Thread-safe.
absl::StatusOr<torch::Device> PlanDevice(const std::string& name, int rank = 0);

// How GPUs compute, for the whole process: cuDNN takes algorithms that repeat their bits; with
// `tf32` products of fp32 are rounded to TF32, else they are fp32 proper. The CPU does not care.
void SetGpuArithmetic(bool tf32);

}  // namespace reflux
