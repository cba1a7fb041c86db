#include "distill/codec/target_codec.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "distill/codec/int8_codec.h"

namespace reflux {
namespace {

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

absl::StatusOr<std::string> EncodeElements(const torch::Tensor& map, Codec codec) {
  const torch::Tensor stored = map.detach().to(TorchType(StoredDType(codec))).contiguous();
  if (!torch::isfinite(stored).all().item<bool>()) {
    return absl::OutOfRangeError(
        absl::StrCat("codec ", Name(codec), " cannot hold the map's largest value ",
                     map.abs().max().item<double>(), ": use bf16 or fp32"));
  }
  return std::string(static_cast<const char*>(stored.data_ptr()), stored.nbytes());
}

}  // namespace

absl::StatusOr<EncodedTarget> EncodeMap(const torch::Tensor& map, Codec codec) {
  if (map.dim() != 3 || !map.is_floating_point() || !map.device().is_cpu()) {
    return absl::InvalidArgumentError("codec: a map is a floating [C,h,w] tensor on the CPU");
  }
  if (!torch::isfinite(map).all().item<bool>())
    return absl::OutOfRangeError("the teacher's map has NaN or Inf");
  absl::StatusOr<std::string> bytes =
      codec == Codec::kInt8 ? EncodeInt8(map) : EncodeElements(map, codec);
  if (!bytes.ok()) return bytes.status();
  return EncodedTarget::FromBytes(
      *std::move(bytes), StoredDType(codec), codec,
      {static_cast<int32_t>(map.size(0)), static_cast<int32_t>(map.size(1)),
       static_cast<int32_t>(map.size(2))});
}

absl::Status DecodeMapInto(const EncodedTarget& target, torch::Tensor out) {
  const bool fits =
      out.dim() == 3 && out.is_contiguous() && out.size(0) == target.shape[0] &&
      out.size(1) == target.shape[1] && out.size(2) == target.shape[2] &&
      static_cast<int64_t>(target.bytes.size()) ==
          out.numel() * BytesPerElement(target.dtype) + out.size(0) * BytesPerChannel(target.codec);
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrCat("target of shape [", target.shape[0], ",",
                                                   target.shape[1], ",", target.shape[2],
                                                   "] does not fit its place in the batch"));
  }
  if (target.codec == Codec::kInt8) {
    DecodeInt8(target.bytes, out);
    return absl::OkStatus();
  }
  // from_blob takes a mutable pointer; copy_ only reads it.
  const torch::Tensor stored = torch::from_blob(const_cast<char*>(target.bytes.data()), out.sizes(),
                                                TorchType(target.dtype));
  out.copy_(stored);
  return absl::OkStatus();
}

}  // namespace reflux
