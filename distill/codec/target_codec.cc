#include "distill/codec/target_codec.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

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
  }
  return torch::kFloat32;
}

}  // namespace

absl::StatusOr<EncodedTarget> EncodeMap(const torch::Tensor& map, Codec codec) {
  if (map.dim() != 3 || !map.is_floating_point() || !map.device().is_cpu()) {
    return absl::InvalidArgumentError("codec: a map is a floating [C,h,w] tensor on the CPU");
  }
  const DType dtype = StoredDType(codec);
  const torch::Tensor stored = map.detach().to(TorchType(dtype)).contiguous();
  if (!torch::isfinite(stored).all().item<bool>()) {
    return absl::OutOfRangeError(
        torch::isfinite(map).all().item<bool>()
            ? absl::StrCat("codec ", Name(codec), " cannot hold the map's largest value ",
                           map.abs().max().item<double>(), ": use bf16 or fp32")
            : "the teacher's map has NaN or Inf");
  }
  std::string bytes(static_cast<const char*>(stored.data_ptr()), stored.nbytes());
  return EncodedTarget::FromBytes(
      std::move(bytes), dtype, codec,
      {static_cast<int32_t>(map.size(0)), static_cast<int32_t>(map.size(1)),
       static_cast<int32_t>(map.size(2))});
}

absl::Status DecodeMapInto(const EncodedTarget& target, torch::Tensor out) {
  const bool fits =
      out.dim() == 3 && out.is_contiguous() && out.size(0) == target.shape[0] &&
      out.size(1) == target.shape[1] && out.size(2) == target.shape[2] &&
      static_cast<int64_t>(target.bytes.size()) == out.numel() * BytesPerElement(target.dtype);
  if (!fits) {
    return absl::InvalidArgumentError(absl::StrCat("target of shape [", target.shape[0], ",",
                                                   target.shape[1], ",", target.shape[2],
                                                   "] does not fit its place in the batch"));
  }
  // from_blob takes a mutable pointer; copy_ only reads it.
  const torch::Tensor stored = torch::from_blob(const_cast<char*>(target.bytes.data()), out.sizes(),
                                                TorchType(target.dtype));
  out.copy_(stored);
  return absl::OkStatus();
}

}  // namespace reflux
