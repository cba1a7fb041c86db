// Teacher maps of a batch: decoded by the host, or left as they are stored and widened by the
// device that trains, which then is sent half or a quarter of the bytes.
//
//   codec        elements, wide   elements, narrow
//   fp32, topk   float32          float32
//   fp16, bf16   float32          float16, bfloat16
//   int8         float32          int8, and `scales`
//
// A codec with "+zstd" is as without. Both forms give the same numbers, to the bit, on every
// device: those of DecodeMapInto. Functions are thread-safe; a row has one writer.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "absl/status/status.h"
#include "common/targets/target.h"
#include "student_worker/batch_memory.h"

namespace reflux {

struct TargetMaps {
  torch::Tensor elements;  // [n,C,h,w] on the CPU
  torch::Tensor scales;    // [n,C,2] float32, step and middle of int8 elements; else undefined
};

torch::ScalarType ElementType(Codec codec, const BatchForm& form);

// `sizes` are [n,C,h,w]. Not initialised.
TargetMaps EmptyTargetMaps(Codec codec, at::IntArrayRef sizes, const BatchForm& form);

// Where the `size` bytes of such a target may be written at once: its row, if that holds them as
// they are stored; else null. DecodeRow then finds them there.
char* PlaceOfRow(const EncodedTarget& coming, size_t size, int64_t row, const TargetMaps& maps);

// One pass from the target's bytes to its row, after decompression if there is any. `maps` were
// made for the target's codec. Errors: those of DecodeMapInto.
absl::Status DecodeRow(const EncodedTarget& target, int64_t row, const TargetMaps& maps);

// The maps as numbers on `device`, [n,C,h,w] of `type`: float32 or float64.
torch::Tensor Widened(const TargetMaps& maps, const torch::Device& device, torch::ScalarType type);

}  // namespace reflux
