// Cross entropy with the labels, for the main and the auxiliary head.
#pragma once

#include "absl/status/status.h"
#include "distill/losses/loss.h"

namespace reflux {

struct CrossEntropyOptions {
  double aux_weight = 0.4;  // of the auxiliary head's cross entropy; 0: no auxiliary head
  bool align_corners = true;

  absl::Status Validate() const;
};

// mean over valid pixels of CE(resize(logits), labels) + aux_weight CE(resize(aux), labels), logits
// resized bilinearly to the labels. A batch without a valid pixel gives 0. Additive; reads the
// student's "logits" and, with aux_weight > 0, "aux".
class CrossEntropyLoss : public Loss {
 public:
  explicit CrossEntropyLoss(const CrossEntropyOptions& options) : options_(options) {}
  LossStatistics Local(const LossInputs& inputs) override;
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return true; }
  std::vector<std::string> student_taps() const override;
  std::vector<std::string> teacher_taps() const override { return {}; }

 private:
  const CrossEntropyOptions options_;
};

// Sum over valid pixels of the cross entropy of `logits` [N,C,h,w], resized to `labels` [N,H,W].
torch::Tensor CrossEntropySum(const torch::Tensor& logits, const torch::Tensor& labels,
                              int64_t ignore_index, bool align_corners);

// The same for the labels of a batch; of mixed images (LossInputs::mixed_labels) both labels'
// sums, by their shares.
torch::Tensor LabelCrossEntropySum(const torch::Tensor& logits, const LossInputs& inputs,
                                   bool align_corners);

// [N,C,h,w] -> [N,C,H,W], bilinear, for labels [N,H,W].
torch::Tensor ResizeToLabels(const torch::Tensor& logits, const torch::Tensor& labels,
                             bool align_corners);

// sums[0] / max(counts[0], 1): the last stage of every additive loss.
torch::Tensor FinishAdditive(const LossStatistics& global);

// One-element count tensor.
torch::Tensor CountOf(int64_t count);

// `map` resized bilinearly (aligned corners) to the height and width of `reference`, if they
// differ.
torch::Tensor ResizeLike(const torch::Tensor& map, const torch::Tensor& reference);

}  // namespace reflux
