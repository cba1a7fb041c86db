// Teacher maps to bytes and back.
//
//   codec  stored as   error of one element x
//   fp32   float32     none
//   bf16   bfloat16    |x| 2^-8 at most
//   fp16   float16     |x| 2^-11 at most for 6.2e-5 <= |x| <= 65504, 3e-8 below
//   int8   int8        (max - min) / 508 of its channel at most, and the rounding of float32
//   topk:K float16     of the K greatest logits of a position that of fp16; of each other logit the
//                      range of these others at its position at most, and that of fp16
//
// Bytes are little-endian, row-major [C,h,w]; int8 puts (float32 step, float32 middle) of every
// channel before them: x = middle + step * q, q in -127..127. Each codec also exists with "+zstd":
// the same numbers, its bytes compressed (zstd_value.h). topk_codec.h has the layout of topk.
// Functions are thread-safe.
#pragma once

#include <torch/types.h>

#include "absl/status/statusor.h"
#include "common/targets/target.h"

namespace reflux {

// The elements of plain values.
torch::ScalarType TorchType(DType dtype);

// Encodes `map` ([C,h,w], any floating type) on the device where it is: what travels to the host is
// what is stored (of +zstd, what the host then compresses). A map with NaN or Inf, or with values
// that the codec cannot hold, is refused with OutOfRange and is never stored. InvalidArgument when
// topk:K gets fewer than K or more than 256 channels.
absl::StatusOr<EncodedTarget> EncodeMap(const torch::Tensor& map, Codec codec);

// Decodes into `out`, a contiguous [C,h,w] slot of the batch tensor (float32, float64, or what bf16
// and fp16 are stored as): one pass from the stored bytes to the batch, after decompression if
// there is any, and none for bytes that lie there already. InvalidArgument when shape or size
// differ, DataLoss when the bytes cannot be what EncodeMap made.
absl::Status DecodeMapInto(const EncodedTarget& target, torch::Tensor out);

// An int8 target undecoded, the same way: `elements` is a contiguous [C,h,w] slot of int8, `scales`
// one [C,2] of float32 (step, middle). Errors as above, and InvalidArgument for another codec.
absl::Status CopyInt8Into(const EncodedTarget& target, torch::Tensor elements,
                          torch::Tensor scales);

}  // namespace reflux
