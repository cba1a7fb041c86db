#include "common/targets/codec.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace reflux {
namespace {

constexpr uint8_t kZstdBit = 128;
constexpr char kZstdSuffix[] = "+zstd";
constexpr uint8_t kTopKBit = 64;
constexpr int32_t kMaxTopK = 63;
constexpr char kTopKPrefix[] = "topk:";
constexpr Codec kNamed[] = {Codec::kFp32, Codec::kBf16, Codec::kFp16, Codec::kInt8};

uint8_t Byte(Codec codec) { return static_cast<uint8_t>(codec); }

std::string PlainName(Codec codec) {
  if (TopK(codec) > 0) return absl::StrCat(kTopKPrefix, TopK(codec));
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

std::optional<Codec> ParsePlain(absl::string_view name) {
  for (Codec codec : kNamed) {
    if (name == PlainName(codec)) return codec;
  }
  absl::string_view count = name;
  int32_t k = 0;
  if (absl::ConsumePrefix(&count, kTopKPrefix) && absl::SimpleAtoi(count, &k) && k >= 1 &&
      k <= kMaxTopK) {
    const auto codec = static_cast<Codec>(kTopKBit + k);
    if (name == PlainName(codec)) return codec;  // not " 4", "+4" or "04"
  }
  return std::nullopt;
}

}  // namespace

bool IsCodec(int64_t byte) {
  if (byte < 0 || byte > 255) return false;
  const int64_t plain = byte & ~int64_t{kZstdBit};
  return (plain >= Byte(Codec::kFp32) && plain <= Byte(Codec::kInt8)) || plain > kTopKBit;
}

bool IsCompressed(Codec codec) { return (Byte(codec) & kZstdBit) != 0; }
Codec Compressed(Codec codec) { return static_cast<Codec>(Byte(codec) | kZstdBit); }
Codec Uncompressed(Codec codec) { return static_cast<Codec>(Byte(codec) & ~kZstdBit); }

int32_t TopK(Codec codec) {
  const uint8_t plain = Byte(Uncompressed(codec));
  return plain > kTopKBit ? plain - kTopKBit : 0;
}

std::string Name(Codec codec) {
  return absl::StrCat(PlainName(Uncompressed(codec)), IsCompressed(codec) ? kZstdSuffix : "");
}

absl::StatusOr<Codec> ParseCodec(absl::string_view name) {
  absl::string_view plain = name;
  const bool compressed = absl::ConsumeSuffix(&plain, kZstdSuffix);
  const std::optional<Codec> codec = ParsePlain(plain);
  if (codec.has_value()) return compressed ? Compressed(*codec) : *codec;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown codec '", name, "', known: fp32, bf16, fp16, int8, ", kTopKPrefix,
                   "K with K from 1 to ", kMaxTopK, ", each also with ", kZstdSuffix));
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
  if (TopK(codec) > 0) return DType::kFloat16;
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
  const int64_t positions = int64_t{shape[1]} * shape[2];
  const int64_t k = TopK(codec);
  // A float16 for the rest; a float16 and a byte for each class that is kept.
  if (k > 0) return positions * (2 + 3 * k);
  return shape[0] * positions * BytesPerElement(StoredDType(codec)) +
         shape[0] * BytesPerChannel(codec);
}

int64_t MaxValueBytes(Codec codec, const std::array<int32_t, 3>& shape) {
  const int64_t bytes = UncompressedBytes(codec, shape);
  // zstd.h promises this much for data that it cannot compress (ZSTD_COMPRESSBOUND).
  return IsCompressed(codec) ? bytes + bytes / 256 + 64 : bytes;
}

}  // namespace reflux
