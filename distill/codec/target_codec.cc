#include "distill/codec/target_codec.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/targets/zstd_value.h"
#include "distill/codec/int8_codec.h"
#include "distill/codec/topk_codec.h"
#include "distill/codec/value_bytes.h"

namespace reflux {
namespace {

absl::StatusOr<torch::Tensor> EncodeElements(const torch::Tensor& map, Codec codec) {
  // A copy in any case: the value outlives the map, which is a part of its batch's.
  const torch::Tensor stored =
      map.detach().to(TorchType(StoredDType(codec)), /*non_blocking=*/false, /*copy=*/true,
                      at::MemoryFormat::Contiguous);
  if (!torch::isfinite(stored).all().item<bool>()) {
    return absl::OutOfRangeError(
        absl::StrCat("codec ", Name(codec), " cannot hold the map's largest value ",
                     map.abs().max().item<double>(), ": use bf16 or fp32"));
  }
  return ValueBytes({stored});
}

// On the map's device.
absl::StatusOr<torch::Tensor> EncodePlain(const torch::Tensor& map, Codec plain) {
  if (TopK(plain) > 0) return EncodeTopK(map, TopK(plain));
  return plain == Codec::kInt8 ? EncodeInt8(map) : EncodeElements(map, plain);
}

// `bytes` are exactly those of a map of out's shape.
absl::Status DecodePlain(absl::string_view bytes, Codec plain, torch::Tensor out) {
  if (TopK(plain) > 0) return DecodeTopK(bytes, TopK(plain), out);
  if (plain == Codec::kInt8) {
    DecodeInt8(bytes, out);
    return absl::OkStatus();
  }
  if (bytes.data() == out.data_ptr()) return absl::OkStatus();  // read straight into its place
  // from_blob takes a mutable pointer; copy_ only reads it.
  out.copy_(torch::from_blob(const_cast<char*>(bytes.data()), out.sizes(),
                             TorchType(StoredDType(plain))));
  return absl::OkStatus();
}

bool Fits(const EncodedTarget& target, const torch::Tensor& out) {
  if (out.dim() != 3 || !out.is_contiguous() || out.size(0) != target.shape[0] ||
      out.size(1) != target.shape[1] || out.size(2) != target.shape[2]) {
    return false;
  }
  const auto size = static_cast<int64_t>(target.bytes.size());
  const int64_t most = MaxValueBytes(target.codec, target.shape);
  return IsCompressed(target.codec) ? size <= most : size == most;
}

absl::Status CheckFits(const EncodedTarget& target, const torch::Tensor& out) {
  if (Fits(target, out)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("target of shape [", target.shape[0], ",",
                                                 target.shape[1], ",", target.shape[2],
                                                 "] does not fit its place in the batch"));
}

// The target's bytes without compression; `decompressed` holds them when there was any.
absl::StatusOr<absl::string_view> PlainBytes(const EncodedTarget& target,
                                             std::string& decompressed) {
  if (!IsCompressed(target.codec)) return target.bytes;
  const Codec plain = Uncompressed(target.codec);
  REFLUX_ASSIGN_OR_RETURN(decompressed,
                          DecompressValue(target.bytes, UncompressedBytes(plain, target.shape),
                                          BytesPerElement(StoredDType(plain))));
  return decompressed;
}

}  // namespace

torch::ScalarType TorchType(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return torch::kFloat32;
    case DType::kBFloat16:
      return torch::kBFloat16;
    case DType::kFloat16:
      return torch::kFloat16;
    case DType::kInt8:
      return torch::kInt8;
  }
  return torch::kFloat32;
}

absl::StatusOr<EncodedTarget> EncodeMap(const torch::Tensor& map, Codec codec) {
  if (map.dim() != 3 || !map.is_floating_point()) {
    return absl::InvalidArgumentError("codec: a map is a floating [C,h,w] tensor");
  }
  if (!torch::isfinite(map).all().item<bool>())
    return absl::OutOfRangeError("the teacher's map has NaN or Inf");
  REFLUX_ASSIGN_OR_RETURN(const torch::Tensor encoded, EncodePlain(map, Uncompressed(codec)));
  auto value = std::make_shared<const torch::Tensor>(encoded.to(torch::kCPU));
  const DType dtype = StoredDType(codec);
  const std::array<int32_t, 3> shape = {static_cast<int32_t>(map.size(0)),
                                        static_cast<int32_t>(map.size(1)),
                                        static_cast<int32_t>(map.size(2))};
  const absl::string_view bytes = ViewBytes(*value);
  if (!IsCompressed(codec)) {
    return EncodedTarget{.bytes = bytes,
                         .owner = std::move(value),
                         .dtype = dtype,
                         .codec = codec,
                         .shape = shape,
                         .checksum = TargetChecksum(bytes)};
  }
  REFLUX_ASSIGN_OR_RETURN(std::string compressed, CompressValue(bytes, BytesPerElement(dtype)));
  return EncodedTarget::FromBytes(std::move(compressed), dtype, codec, shape);
}

absl::Status DecodeMapInto(const EncodedTarget& target, torch::Tensor out) {
  REFLUX_RETURN_IF_ERROR(CheckFits(target, out));
  std::string decompressed;
  REFLUX_ASSIGN_OR_RETURN(const absl::string_view bytes, PlainBytes(target, decompressed));
  return DecodePlain(bytes, Uncompressed(target.codec), out);
}

absl::Status CopyInt8Into(const EncodedTarget& target, torch::Tensor elements,
                          torch::Tensor scales) {
  REFLUX_RETURN_IF_ERROR(CheckFits(target, elements));
  if (Uncompressed(target.codec) != Codec::kInt8 || elements.scalar_type() != torch::kInt8 ||
      scales.scalar_type() != torch::kFloat32 || !scales.is_contiguous() ||
      scales.numel() != 2 * elements.size(0)) {
    return absl::InvalidArgumentError("codec: only int8 is copied to elements and scales");
  }
  std::string decompressed;
  REFLUX_ASSIGN_OR_RETURN(const absl::string_view bytes, PlainBytes(target, decompressed));
  SplitInt8(bytes, elements, scales);
  return absl::OkStatus();
}

}  // namespace reflux
