#include "common/targets/target_tensor.h"

#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "common/targets/decode_value.h"

namespace reflux {

absl::StatusOr<TargetTensor> ToTensor(const EncodedTarget& target) {
  TargetTensor tensor;
  tensor.shape = target.shape;
  REFLUX_ASSIGN_OR_RETURN(tensor.elements, Decompress(target));
  switch (tensor.elements.codec) {
    case Codec::kFp32:
      tensor.dtype = "F32";
      return tensor;
    case Codec::kFp16:
      tensor.dtype = "F16";
      return tensor;
    case Codec::kBf16:
      tensor.dtype = "BF16";
      return tensor;
    default:
      break;
  }
  REFLUX_ASSIGN_OR_RETURN(const std::vector<float> decoded, DecodeValue(tensor.elements));
  tensor.dtype = "F32";
  tensor.elements = EncodedTarget::FromBytes(
      std::string(reinterpret_cast<const char*>(decoded.data()), decoded.size() * sizeof(float)),
      DType::kFloat32, Codec::kFp32, target.shape);
  return tensor;
}

}  // namespace reflux
