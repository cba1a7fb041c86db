// The K largest logits of every position: the topk codec of target_codec.h. Thread-safe.
//
// The value is float16 rest [h,w], float16 logits [K,h,w] in falling order, uint8 classes [K,h,w].
// `rest` stands for each of the C - K other classes: log(mean(exp(x))) over them, so that softmax
// at temperature 1 gives the kept classes their probabilities and the others together theirs.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// `map` [C,h,w], finite, with K <= C <= 256, else InvalidArgument; bytes on its device
// (value_bytes.h). Of equal logits the lower class comes first. OutOfRange when float16 cannot hold
// a value.
absl::StatusOr<torch::Tensor> EncodeTopK(const torch::Tensor& map, int64_t k);

// `bytes` are h w (2 + 3 K); `out` is contiguous [C,h,w], float32 or float64, on the CPU. DataLoss
// for bytes that EncodeTopK does not make (decode_value.h).
absl::Status DecodeTopK(absl::string_view bytes, int64_t k, torch::Tensor out);

}  // namespace reflux
