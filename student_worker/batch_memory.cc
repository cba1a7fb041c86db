#include "student_worker/batch_memory.h"

#include <spdlog/spdlog.h>

#include <bit>

namespace reflux {

BatchForm FormFor(const torch::Device& device) {
  return {.narrow = device.is_cuda(), .pinned = device.is_cuda()};
}

torch::Tensor EmptyHost(at::IntArrayRef sizes, torch::ScalarType type, const BatchForm& form) {
  if (form.pinned) {
    // The system may grant less pinned memory than memory, and batches are made in threads where
    // an exception would end the process.
    try {
      return torch::empty(sizes, torch::TensorOptions(type).pinned_memory(true));
    } catch (const c10::Error& error) {
      [[maybe_unused]] static const bool said = [&] {
        spdlog::warn("batches are not in pinned memory: {}", error.what_without_backtrace());
        return true;
      }();
    }
  }
  return torch::empty(sizes, type);
}

// LibTorch's pinned allocator gives powers of two, to use a block again for other sizes.
int64_t HostBytes(int64_t bytes, const BatchForm& form) {
  return form.pinned ? static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(bytes))) : bytes;
}

// Without a conversion: to(device, type) would convert on the host, in this thread.
torch::Tensor Sent(const torch::Tensor& tensor, const torch::Device& device) {
  return tensor.to(device, tensor.scalar_type(), /*non_blocking=*/true);
}

}  // namespace reflux
