// Values of targets back to numbers, without torch: what the students' codec (distill/codec) and
// clients share. The layouts are those of docs/cache_format.md. Thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/targets/target.h"

namespace reflux {

// IEEE 754 binary16 bits as a number.
float HalfToFloat(uint16_t bits);

// int8: `bytes` are channels (8 + positions); `out` has channels * positions elements. T is float
// or double.
template <typename T>
void DecodeInt8(absl::string_view bytes, int64_t channels, int64_t positions, T* out);

// topk:k: `bytes` are positions (2 + 3 k); `out` has channels * positions elements, k of them at
// most for a position. DataLoss when no logits give such bytes: a class is not below `channels` or
// stands twice at a position, its logits are not finite and falling, or what stands for the others
// is above them. T is float or double.
template <typename T>
absl::Status DecodeTopK(absl::string_view bytes, int64_t k, int64_t channels, int64_t positions,
                        T* out);

// Any codec, as float32, row-major [C,h,w]. DataLoss when the bytes cannot be those of the target's
// codec and shape; then nothing larger than the map was allocated.
absl::StatusOr<std::vector<float>> DecodeValue(const EncodedTarget& target);

// The value without its compression, if it has one: bytes as the codec without "+zstd" writes them.
// Errors as above.
absl::StatusOr<EncodedTarget> Decompress(const EncodedTarget& target);

}  // namespace reflux
