#include "common/targets/decode_value.h"

#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/targets/zstd_value.h"

namespace reflux {
namespace {

// What int8 puts before the elements, for each channel.
struct Scale {
  float step = 0, middle = 0;
};
static_assert(sizeof(Scale) == 8);

uint16_t Word(const char* bytes) {
  uint16_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

float BFloatToFloat(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

// Elements as they are stored: fp32, bf16 or fp16.
void DecodeElements(absl::string_view bytes, Codec codec, std::vector<float>& out) {
  if (codec == Codec::kFp32) {
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return;
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const uint16_t word = Word(bytes.data() + 2 * i);
    out[i] = codec == Codec::kBf16 ? BFloatToFloat(word) : HalfToFloat(word);
  }
}

constexpr uint16_t kLargestHalf = 0x7bff;

bool IsFiniteHalf(uint16_t bits) { return (bits & 0x7fffu) < 0x7c00u; }

// Ascends with the number by one from each finite float16 to the next; both zeros have 0.
int32_t HalfRank(uint16_t bits) {
  const int32_t magnitude = bits & 0x7fff;
  return (bits & 0x8000u) != 0 ? -magnitude : magnitude;
}

// The mean of exp over the others is at most that of the least logit kept. Its logarithm was
// rounded twice, so that of equal logits it may be the next float16. Of no others it is 0.
bool CanBeRest(uint16_t rest, uint16_t least_kept, bool no_others) {
  if (no_others) return HalfRank(rest) == 0;
  return IsFiniteHalf(rest) && HalfRank(rest) <= HalfRank(least_kept) + 1;
}

// Of the 256 that a byte can name.
class ClassSet {
 public:
  // False when it is there already.
  bool Insert(uint8_t name) {
    uint64_t& word = words_[name / 64];
    const uint64_t bit = uint64_t{1} << (name % 64);
    const bool fresh = (word & bit) == 0;
    word |= bit;
    return fresh;
  }

 private:
  std::array<uint64_t, 4> words_ = {};
};

absl::Status ImpossibleTopK(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("codec topk: ", what));
}

}  // namespace

// Exponents 1 to 30 are moved to binary32's by a multiplication, which also normalises subnormals.
float HalfToFloat(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
  if (rest >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  const float magnitude = std::bit_cast<float>(rest << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

template <typename T>
void DecodeInt8(absl::string_view bytes, int64_t channels, int64_t positions, T* out) {
  const auto* element = reinterpret_cast<const int8_t*>(
      bytes.data() + channels * static_cast<int64_t>(sizeof(Scale)));
  for (int64_t channel = 0; channel < channels; ++channel) {
    Scale scale;
    std::memcpy(&scale, bytes.data() + channel * static_cast<int64_t>(sizeof(Scale)),
                sizeof(Scale));
    for (int64_t i = 0; i < positions; ++i) {
      out[i] = static_cast<T>(scale.middle + scale.step * static_cast<float>(element[i]));
    }
    element += positions;
    out += positions;
  }
}

template <typename T>
absl::Status DecodeTopK(absl::string_view bytes, int64_t k, int64_t channels, int64_t positions,
                        T* out) {
  const char* rest = bytes.data();
  const char* logits = rest + 2 * positions;
  const auto* classes = reinterpret_cast<const uint8_t*>(logits + 2 * k * positions);
  for (int64_t i = 0; i < positions; ++i) out[i] = static_cast<T>(HalfToFloat(Word(rest + 2 * i)));
  for (int64_t channel = 1; channel < channels; ++channel) {
    std::memcpy(out + channel * positions, out, static_cast<size_t>(positions) * sizeof(T));
  }
  for (int64_t position = 0; position < positions; ++position) {
    ClassSet seen;
    uint16_t before = kLargestHalf;
    for (int64_t i = position; i < k * positions; i += positions) {
      const uint16_t logit = Word(logits + 2 * i);
      if (classes[i] >= channels) return ImpossibleTopK("a class is not below its channels");
      if (!seen.Insert(classes[i])) return ImpossibleTopK("a class stands twice at a position");
      if (HalfRank(logit) > HalfRank(before) || !IsFiniteHalf(logit))
        return ImpossibleTopK("the logits of a position are not finite and falling");
      out[classes[i] * positions + position] = static_cast<T>(HalfToFloat(logit));
      before = logit;
    }
    if (!CanBeRest(Word(rest + 2 * position), before, k == channels))
      return ImpossibleTopK("what stands for the other classes is above those that were kept");
  }
  return absl::OkStatus();
}

template void DecodeInt8(absl::string_view, int64_t, int64_t, float*);
template void DecodeInt8(absl::string_view, int64_t, int64_t, double*);
template absl::Status DecodeTopK(absl::string_view, int64_t, int64_t, int64_t, float*);
template absl::Status DecodeTopK(absl::string_view, int64_t, int64_t, int64_t, double*);

absl::StatusOr<EncodedTarget> Decompress(const EncodedTarget& target) {
  const Codec plain = Uncompressed(target.codec);
  REFLUX_RETURN_IF_ERROR(target.Verify());
  if (!IsCompressed(target.codec)) return target;
  REFLUX_ASSIGN_OR_RETURN(std::string bytes,
                          DecompressValue(target.bytes, UncompressedBytes(plain, target.shape),
                                          BytesPerElement(StoredDType(plain))));
  return EncodedTarget::FromBytes(std::move(bytes), target.dtype, plain, target.shape);
}

absl::StatusOr<std::vector<float>> DecodeValue(const EncodedTarget& target) {
  REFLUX_ASSIGN_OR_RETURN(const EncodedTarget plain, Decompress(target));
  const int64_t channels = plain.shape[0], positions = int64_t{plain.shape[1]} * plain.shape[2];
  std::vector<float> out(static_cast<size_t>(channels * positions));
  if (const int64_t k = TopK(plain.codec); k > 0) {
    REFLUX_RETURN_IF_ERROR(DecodeTopK(plain.bytes, k, channels, positions, out.data()));
  } else if (plain.codec == Codec::kInt8) {
    DecodeInt8(plain.bytes, channels, positions, out.data());
  } else {
    DecodeElements(plain.bytes, plain.codec, out);
  }
  return out;
}

}  // namespace reflux
