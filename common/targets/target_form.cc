#include "common/targets/target_form.h"

#include "absl/strings/str_cat.h"

namespace reflux {

absl::Status CheckForm(const EncodedTarget& target, int64_t bytes) {
  constexpr int64_t kMaxBytes = EncodedTarget::kMaxBytes;
  int64_t elements = 1;
  for (int32_t side : target.shape) {
    if (side <= 0 || side > kMaxBytes) return absl::DataLossError("target: a side is out of range");
    elements *= side;
    if (elements > kMaxBytes) return absl::DataLossError("target: over 1 GiB");
  }
  const Codec codec = target.codec;
  if (!IsCodec(static_cast<int64_t>(codec))) return absl::DataLossError("target: unknown codec");
  if (target.dtype != StoredDType(codec)) {
    return absl::DataLossError(
        absl::StrCat("target: codec ", Name(codec), " does not store ", Name(target.dtype)));
  }
  if (UncompressedBytes(codec, target.shape) > kMaxBytes) {
    return absl::DataLossError("target: over 1 GiB");
  }
  const int64_t most = MaxValueBytes(codec, target.shape);
  if (IsCompressed(codec) ? bytes <= 0 || bytes > most : bytes != most) {
    return absl::DataLossError(absl::StrCat("target: ", bytes, " bytes, its shape needs ",
                                            IsCompressed(codec) ? "1.." : "", most));
  }
  return absl::OkStatus();
}

}  // namespace reflux
