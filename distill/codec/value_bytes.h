// The bytes of a value as a tensor: made on the device where the map is, copied to the host once.
// Thread-safe.
#pragma once

#include <torch/types.h>

#include <vector>

#include "absl/strings/string_view.h"

namespace reflux {

// The elements of `parts`, row-major, one part after the other: uint8 [bytes] on their device. A
// single contiguous part lends its memory.
torch::Tensor ValueBytes(const std::vector<torch::Tensor>& parts);

// Those of `value` (uint8 on the CPU), which keeps them.
absl::string_view ViewBytes(const torch::Tensor& value);

}  // namespace reflux
