// CIRKD's mini-batch relation: every image of the batch against every other (Cross-Image Relational
// Knowledge Distillation, CVPR 2022, arXiv 2204.06986).
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "distill/losses/tap_loss.h"

namespace reflux {

struct CrossImageOptions {
  TapLossOptions tap;
  double temperature = 0.1;
  int64_t pool = 1;  // window and stride of an average-pool that keeps the last, smaller windows

  absl::Status Validate() const;
};

// For each ordered pair (i, j) of images of the global batch: the cosines of all positions of i
// with all of j, a softmax along j, KL(teacher || student) averaged over the positions of i; the
// mean over the pairs. Each network is compared within itself, so the widths may differ.
//
// Exact over ranks: the statistics are the unit features of both networks, each rank's at its place
// in the global batch. Time and memory O(B^2 p^2) for B images of p pooled positions, on every
// rank.
class CrossImageLoss : public Loss {
 public:
  explicit CrossImageLoss(const CrossImageOptions& options) : options_(options) {}
  LossStatistics Local(const LossInputs& inputs) override;
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return false; }
  std::vector<std::string> student_taps() const override { return {options_.tap.tap}; }
  std::vector<std::string> teacher_taps() const override { return {options_.tap.tap}; }

 private:
  // [n,C,h,w] -> [n,C,p], unit vectors along C.
  torch::Tensor UnitFeatures(const torch::Tensor& map) const;
  const CrossImageOptions options_;
};

}  // namespace reflux
