// The host memory in which batches wait for the device that trains on them. Thread-safe.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace reflux {

struct BatchForm {
  // Targets lie as they are stored, and the device widens them (target_maps.h).
  bool narrow = false;
  // Memory that a GPU reads by itself: its copy needs no other thread, and nobody waits for it.
  bool pinned = false;
};

// Both for a GPU, neither for the CPU.
BatchForm FormFor(const torch::Device& device);

// Not initialised. Memory that cannot be pinned is ordinary memory, which is slower but right; that
// is said once. Pinned memory needs a device of PlanDevice (job_plan/device_plan.h).
torch::Tensor EmptyHost(at::IntArrayRef sizes, torch::ScalarType type, const BatchForm& form);

// What a tensor of so many bytes takes of memory in this form.
int64_t HostBytes(int64_t bytes, const BatchForm& form);

// `tensor` as it is on `device`, by its current stream. Of pinned memory the copy may still run:
// LibTorch gives such memory to nobody else before it has ended, also when `tensor` is gone.
torch::Tensor Sent(const torch::Tensor& tensor, const torch::Device& device);

}  // namespace reflux
