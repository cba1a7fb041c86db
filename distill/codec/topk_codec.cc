#include "distill/codec/topk_codec.h"

#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/targets/decode_value.h"
#include "distill/codec/value_bytes.h"

namespace reflux {
namespace {

constexpr int64_t kMaxClasses = 256;  // a class is one byte

// What stands for each of `others` [C-K,h,w]; zero, and read by no one, when there are none.
torch::Tensor Rest(const torch::Tensor& others) {
  if (others.size(0) == 0) return others.new_zeros({1, others.size(1), others.size(2)});
  return others.logsumexp(0, /*keepdim=*/true) - std::log(static_cast<double>(others.size(0)));
}

}  // namespace

absl::StatusOr<torch::Tensor> EncodeTopK(const torch::Tensor& map, int64_t k) {
  const int64_t classes = map.size(0);
  if (k > classes || classes > kMaxClasses) {
    return absl::InvalidArgumentError(
        absl::StrCat("codec topk:", k, " is for logits of ", k, " to ", kMaxClasses,
                     " classes, and the map has ", classes, " channels: use fp16"));
  }
  // Stable, so that equal logits give the same bytes everywhere.
  const auto [values, order] =
      torch::sort(map.detach().to(torch::kFloat64), std::optional<bool>(true), /*dim=*/0,
                  /*descending=*/true);
  const torch::Tensor rest = Rest(values.narrow(0, k, classes - k));
  const torch::Tensor logits = torch::cat({rest, values.narrow(0, 0, k)}).to(torch::kFloat16);
  if (!torch::isfinite(logits).all().item<bool>())
    return absl::OutOfRangeError("codec topk cannot hold the map's range: use bf16 or fp32");
  return ValueBytes({logits, order.narrow(0, 0, k).to(torch::kUInt8)});
}

absl::Status DecodeTopK(absl::string_view bytes, int64_t k, torch::Tensor out) {
  const int64_t channels = out.size(0), positions = out.size(1) * out.size(2);
  if (out.scalar_type() == torch::kFloat64) {
    return DecodeTopK(bytes, k, channels, positions, out.data_ptr<double>());
  }
  return DecodeTopK(bytes, k, channels, positions, out.data_ptr<float>());
}

}  // namespace reflux
