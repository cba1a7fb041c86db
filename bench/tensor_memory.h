// How many bytes of tensors a piece of work holds at most.
#pragma once

#include <cstdint>
#include <functional>

namespace reflux {

// The peak of tensor bytes on the CPU that `work` allocates beyond those that stand when it starts,
// counted by LibTorch's allocator. `work` runs on this thread; what a backward pass allocates on
// this thread counts too.
int64_t PeakTensorBytes(const std::function<void()>& work);

}  // namespace reflux
