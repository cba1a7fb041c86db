// How a map becomes the bytes of a target. Torch-free; pure functions, thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// Never renumber these.
enum class DType : uint8_t { kFloat32 = 1, kBFloat16 = 2, kFloat16 = 3, kInt8 = 4 };

// One byte, which is part of a target's key: one of the named codecs, or 64 + K for the K largest
// logits of a position (K in 1..63), plus 128 when its value is then compressed with zstd. Never
// renumber. Use the functions below to tell them apart.
enum class Codec : uint8_t { kFp32 = 1, kBf16 = 2, kFp16 = 3, kInt8 = 4 };

// Whether a byte from outside (a file, a message) is a codec.
bool IsCodec(int64_t byte);
bool IsCompressed(Codec codec);
Codec Compressed(Codec codec);  // `codec` and zstd; itself when it is compressed already
Codec Uncompressed(Codec codec);

// K of topk:K, 0 for all others.
int32_t TopK(Codec codec);

std::string Name(Codec codec);  // "fp16", "fp16+zstd", "topk:4"
// InvalidArgument lists the known names.
absl::StatusOr<Codec> ParseCodec(absl::string_view name);

absl::string_view Name(DType dtype);
int64_t BytesPerElement(DType dtype);
DType StoredDType(Codec codec);

// Bytes of a map of `shape` [C,h,w] before compression; the sides are positive and their product
// at most 2^30.
int64_t UncompressedBytes(Codec codec, const std::array<int32_t, 3>& shape);
// The most bytes of a value; without compression the only possible number.
int64_t MaxValueBytes(Codec codec, const std::array<int32_t, 3>& shape);

}  // namespace reflux
