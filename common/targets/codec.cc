#include "common/targets/codec.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace reflux {
namespace {

constexpr uint8_t kZstdBit = 128;
constexpr char kZstdSuffix[] = "+zstd";
constexpr Codec kNamed[] = {Codec::kFp32, Codec::kBf16, Codec::kFp16, Codec::kInt8};

uint8_t Byte(Codec codec) { return static_cast<uint8_t>(codec); }

absl::string_view PlainName(Codec codec) {
  switch (codec) {
    case Codec::kFp32:
      return "fp32";
    case Codec::kBf16:
      return "bf16";
    case Codec::kFp16:
      return "fp16";
    case Codec::kInt8:
      return "int8";
  }
  return "unknown";
}

// What int8 puts before the elements, for each channel.
int64_t BytesPerChannel(Codec codec) {
  return Uncompressed(codec) == Codec::kInt8 ? 2 * sizeof(float) : 0;
}

}  // namespace

bool IsCodec(int64_t byte) {
  if (byte < 0 || byte > 255) return false;
  const int64_t plain = byte & ~int64_t{kZstdBit};
  return plain >= Byte(Codec::kFp32) && plain <= Byte(Codec::kInt8);
}

bool IsCompressed(Codec codec) { return (Byte(codec) & kZstdBit) != 0; }
Codec Compressed(Codec codec) { return static_cast<Codec>(Byte(codec) | kZstdBit); }
Codec Uncompressed(Codec codec) { return static_cast<Codec>(Byte(codec) & ~kZstdBit); }

std::string Name(Codec codec) {
  return absl::StrCat(PlainName(Uncompressed(codec)), IsCompressed(codec) ? kZstdSuffix : "");
}

absl::StatusOr<Codec> ParseCodec(absl::string_view name) {
  absl::string_view plain = name;
  const bool compressed = absl::ConsumeSuffix(&plain, kZstdSuffix);
  for (Codec codec : kNamed) {
    if (plain == PlainName(codec)) return compressed ? Compressed(codec) : codec;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown codec '", name, "', known: fp32, bf16, fp16, int8, each also with ", kZstdSuffix));
}

absl::string_view Name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat16:
      return "float16";
    case DType::kInt8:
      return "int8";
  }
  return "unknown";
}

int64_t BytesPerElement(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return 4;
    case DType::kBFloat16:
    case DType::kFloat16:
      return 2;
    case DType::kInt8:
      return 1;
  }
  return 4;
}

DType StoredDType(Codec codec) {
  switch (Uncompressed(codec)) {
    case Codec::kFp32:
      return DType::kFloat32;
    case Codec::kBf16:
      return DType::kBFloat16;
    case Codec::kFp16:
      return DType::kFloat16;
    case Codec::kInt8:
      return DType::kInt8;
  }
  return DType::kFloat32;
}

int64_t UncompressedBytes(Codec codec, const std::array<int32_t, 3>& shape) {
  const int64_t elements = int64_t{shape[0]} * shape[1] * shape[2];
  return elements * BytesPerElement(StoredDType(codec)) + shape[0] * BytesPerChannel(codec);
}

int64_t MaxValueBytes(Codec codec, const std::array<int32_t, 3>& shape) {
  const int64_t bytes = UncompressedBytes(codec, shape);
  // zstd.h promises this much for data that it cannot compress (ZSTD_COMPRESSBOUND).
  return IsCompressed(codec) ? bytes + bytes / 256 + 64 : bytes;
}

}  // namespace reflux
