#include "distill/codec/topk_codec.h"

#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

constexpr int64_t kMaxClasses = 256;  // a class is one byte

// What stands for each of `others` [C-K,h,w]; zero, and read by no one, when there are none.
torch::Tensor Rest(const torch::Tensor& others) {
  if (others.size(0) == 0) return others.new_zeros({1, others.size(1), others.size(2)});
  return others.logsumexp(0, /*keepdim=*/true) - std::log(static_cast<double>(others.size(0)));
}

}  // namespace

absl::StatusOr<std::string> EncodeTopK(const torch::Tensor& map, int64_t k) {
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
  const torch::Tensor logits =
      torch::cat({rest, values.narrow(0, 0, k)}).to(torch::kFloat16).contiguous();
  if (!torch::isfinite(logits).all().item<bool>())
    return absl::OutOfRangeError("codec topk cannot hold the map's range: use bf16 or fp32");
  const torch::Tensor kept = order.narrow(0, 0, k).to(torch::kUInt8).contiguous();
  std::string bytes(static_cast<const char*>(logits.data_ptr()), logits.nbytes());
  return bytes.append(static_cast<const char*>(kept.data_ptr()), kept.nbytes());
}

absl::Status DecodeTopK(absl::string_view bytes, int64_t k, torch::Tensor out) {
  const int64_t height = out.size(1), width = out.size(2);
  // from_blob takes a mutable pointer; both tensors are only read.
  char* begin = const_cast<char*>(bytes.data());
  const torch::Tensor logits = torch::from_blob(begin, {k + 1, height, width}, torch::kFloat16);
  const torch::Tensor classes =
      torch::from_blob(begin + logits.nbytes(), {k, height, width}, torch::kUInt8)
          .to(torch::kInt64);
  if (classes.max().item<int64_t>() >= out.size(0)) {
    return absl::DataLossError(
        absl::StrCat("codec topk: a class is not below the ", out.size(0), " of the target"));
  }
  out.copy_(logits.narrow(0, 0, 1).expand_as(out));
  out.scatter_(0, classes, logits.narrow(0, 1, k).to(out.scalar_type()));
  return absl::OkStatus();
}

}  // namespace reflux
