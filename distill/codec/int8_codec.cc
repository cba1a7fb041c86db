#include "distill/codec/int8_codec.h"

#include <cstdint>
#include <cstring>

#include "common/targets/decode_value.h"
#include "distill/codec/value_bytes.h"

namespace reflux {
namespace {

constexpr double kLevels = 127;  // on either side of the middle

}  // namespace

absl::StatusOr<torch::Tensor> EncodeInt8(const torch::Tensor& map) {
  const torch::Tensor rows = map.detach().to(torch::kFloat64).flatten(1);
  const torch::Tensor low = rows.amin(1, /*keepdim=*/true), high = rows.amax(1, /*keepdim=*/true);
  // Rounded to what is stored before it is divided by, so that decoding undoes exactly this.
  const torch::Tensor step = ((high - low) / (2 * kLevels)).to(torch::kFloat32);
  const torch::Tensor middle = ((high + low) / 2).to(torch::kFloat32);
  const torch::Tensor scales = torch::cat({step, middle}, 1);
  if (!torch::isfinite(scales).all().item<bool>())
    return absl::OutOfRangeError("codec int8 cannot hold the map's range: use fp32");
  const torch::Tensor divisor = step.to(torch::kFloat64).masked_fill(step == 0, 1);
  const torch::Tensor elements = ((rows - middle.to(torch::kFloat64)) / divisor)
                                     .round()
                                     .clamp(-kLevels, kLevels)
                                     .to(torch::kInt8);
  return ValueBytes({scales, elements});
}

void DecodeInt8(absl::string_view bytes, torch::Tensor out) {
  const int64_t channels = out.size(0), positions = out.size(1) * out.size(2);
  if (out.scalar_type() == torch::kFloat64) {
    DecodeInt8(bytes, channels, positions, out.data_ptr<double>());
  } else {
    DecodeInt8(bytes, channels, positions, out.data_ptr<float>());
  }
}

void SplitInt8(absl::string_view bytes, torch::Tensor elements, torch::Tensor scales) {
  std::memcpy(scales.data_ptr(), bytes.data(), scales.nbytes());
  std::memcpy(elements.data_ptr(), bytes.data() + scales.nbytes(), elements.nbytes());
}

}  // namespace reflux
