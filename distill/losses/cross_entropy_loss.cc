#include "distill/losses/cross_entropy_loss.h"

#include <torch/nn/functional.h>

#include "absl/strings/str_cat.h"
#include "distill/tensors/resize.h"

namespace reflux {
namespace {

namespace F = torch::nn::functional;

}  // namespace

absl::Status CrossEntropyOptions::Validate() const {
  if (aux_weight >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("losses.ce.aux_weight: ", aux_weight, " is negative"));
}

torch::Tensor CrossEntropySum(const torch::Tensor& logits, const torch::Tensor& labels,
                              int64_t ignore_index, bool align_corners) {
  return F::cross_entropy(
      ResizeToLabels(logits, labels, align_corners), labels,
      F::CrossEntropyFuncOptions().ignore_index(ignore_index).reduction(torch::kSum));
}

torch::Tensor LabelCrossEntropySum(const torch::Tensor& logits, const LossInputs& inputs,
                                   bool align_corners) {
  const torch::Tensor own =
      CrossEntropySum(logits, inputs.labels, inputs.ignore_index, align_corners);
  if (!inputs.mixed_labels.defined()) return own;
  const torch::Tensor other =
      CrossEntropySum(logits, inputs.mixed_labels, inputs.ignore_index, align_corners);
  return inputs.label_share * own + (1 - inputs.label_share) * other;
}

torch::Tensor ResizeToLabels(const torch::Tensor& logits, const torch::Tensor& labels,
                             bool align_corners) {
  return ResizeBilinear(logits, labels.size(1), labels.size(2), align_corners);
}

torch::Tensor FinishAdditive(const LossStatistics& global) {
  return global.sums[0] / global.counts[0].clamp_min(1).to(global.sums.dtype());
}

torch::Tensor CountOf(int64_t count) {
  return torch::full({1}, static_cast<double>(count), torch::kFloat64);
}

torch::Tensor ResizeLike(const torch::Tensor& map, const torch::Tensor& reference) {
  return ResizeBilinear(map, reference.size(2), reference.size(3), /*align_corners=*/true);
}

LossStatistics CrossEntropyLoss::Local(const LossInputs& inputs) {
  const torch::Tensor& labels = inputs.labels;
  torch::Tensor sum = LabelCrossEntropySum(RequireMap(inputs.student, "logits", "student"), inputs,
                                           options_.align_corners);
  if (options_.aux_weight > 0) {
    sum = sum + options_.aux_weight * CrossEntropySum(RequireMap(inputs.student, "aux", "student"),
                                                      labels, inputs.ignore_index,
                                                      options_.align_corners);
  }
  return {sum.reshape({1}), CountOf(labels.ne(inputs.ignore_index).sum().item<int64_t>())};
}

torch::Tensor CrossEntropyLoss::Finish(const LossStatistics& global) {
  return FinishAdditive(global);
}

std::vector<std::string> CrossEntropyLoss::student_taps() const {
  if (options_.aux_weight > 0) return {"logits", "aux"};
  return {"logits"};
}

}  // namespace reflux
