#include "student_worker/target_maps.h"

#include "distill/codec/target_codec.h"

namespace reflux {

torch::ScalarType ElementType(Codec codec, const BatchForm& form) {
  const Codec plain = Uncompressed(codec);
  if (!form.narrow || TopK(plain) > 0) return torch::kFloat32;
  return TorchType(StoredDType(plain));
}

TargetMaps EmptyTargetMaps(Codec codec, at::IntArrayRef sizes, const BatchForm& form) {
  const torch::ScalarType type = ElementType(codec, form);
  TargetMaps maps{.elements = EmptyHost(sizes, type, form)};
  if (type == torch::kInt8) maps.scales = EmptyHost({sizes[0], sizes[1], 2}, torch::kFloat32, form);
  return maps;
}

char* PlaceOfRow(const EncodedTarget& coming, size_t size, int64_t row, const TargetMaps& maps) {
  const bool as_stored = !IsCompressed(coming.codec) && TopK(coming.codec) == 0 &&
                         !maps.scales.defined() &&
                         maps.elements.scalar_type() == TorchType(StoredDType(coming.codec));
  const torch::Tensor place = maps.elements[row];
  if (!as_stored || place.nbytes() != size) return nullptr;
  return static_cast<char*>(place.data_ptr());
}

absl::Status DecodeRow(const EncodedTarget& target, int64_t row, const TargetMaps& maps) {
  if (!maps.scales.defined()) return DecodeMapInto(target, maps.elements[row]);
  return CopyInt8Into(target, maps.elements[row], maps.scales[row]);
}

// The operations of DecodeInt8, each rounded by itself: a fused one would give other bits.
torch::Tensor Widened(const TargetMaps& maps, const torch::Device& device, torch::ScalarType type) {
  const torch::Tensor elements = Sent(maps.elements, device);
  if (!maps.scales.defined()) return elements.to(type);
  const torch::Tensor scales = Sent(maps.scales, device).unsqueeze(-1).unsqueeze(-1);
  return elements.to(torch::kFloat32).mul_(scales.select(2, 0)).add_(scales.select(2, 1)).to(type);
}

}  // namespace reflux
