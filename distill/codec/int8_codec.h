// Eight bits for an element, scaled channel by channel: the int8 codec of target_codec.h.
// Thread-safe.
#pragma once

#include <torch/types.h>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// `map` [C,h,w], finite; bytes on its device (value_bytes.h). OutOfRange when a channel's range
// exceeds what float32 holds.
absl::StatusOr<torch::Tensor> EncodeInt8(const torch::Tensor& map);

// `bytes` are C (8 + h w); `out` is contiguous [C,h,w], float32 or float64, on the CPU.
void DecodeInt8(absl::string_view bytes, torch::Tensor out);

// As they are: `elements` is contiguous [C,h,w] int8, `scales` [C,2] float32 (step, middle), both
// on the CPU.
void SplitInt8(absl::string_view bytes, torch::Tensor elements, torch::Tensor scales);

}  // namespace reflux
