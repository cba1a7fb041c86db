#include "distill/teacher/reduce_map.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "distill/losses/prototypes.h"

namespace reflux {
namespace {

// [C+1,K,1]: sums, then counts.
torch::Tensor ClassSumsOf(const torch::Tensor& map, const MapLabel& label) {
  const torch::Tensor labels =
      DownsampleLabels(label.classes.unsqueeze(0), map.size(1), map.size(2)).to(map.device());
  const ClassSums sums = SumByClass(map.to(torch::kFloat64).unsqueeze(0), labels, label.num_classes,
                                    label.ignore_index);
  return torch::cat({sums.sums[0].t(), sums.counts}).unsqueeze(2).to(map.dtype()).contiguous();
}

torch::Tensor MaxPooled(const torch::Tensor& map, int64_t window) {
  const int64_t rows = std::min(window, map.size(1)), columns = std::min(window, map.size(2));
  return torch::max_pool2d(map.unsqueeze(0), {rows, columns}, {rows, columns})[0].contiguous();
}

}  // namespace

absl::StatusOr<torch::Tensor> ReduceMap(const torch::Tensor& map, Reduction reduction,
                                        const MapLabel& label) {
  if (reduction == Reduction::kNone) return map;
  if (reduction == Reduction::kClassSums) return ClassSumsOf(map, label);
  if (const int64_t window = MaxPoolWindow(reduction); window > 0) return MaxPooled(map, window);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown reduction ", static_cast<int>(reduction)));
}

}  // namespace reflux
