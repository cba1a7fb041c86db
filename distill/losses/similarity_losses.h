// Losses on matrices of similarities within an image: SKD's pair-wise term (structured knowledge
// distillation, arXiv 1903.04197) and category similarity. Max- and average-pools keep the last,
// smaller windows, as published.
#pragma once

#include "distill/losses/tap_loss.h"

namespace reflux {

struct PairwiseOptions {
  TapLossOptions tap;
  int64_t pool = 2;  // window and stride of the max-pool; 1: none
  // In place of `pool` when positive: the window as a share of the map's height and width (at least
  // one position). AICSD's code has 0.5.
  double pool_fraction = 0;
  // As AICSD's code: vectors are divided by their norm + 1e-8, the norm a constant in the gradient.
  bool constant_norm = false;

  absl::Status Validate() const;
};

// Mean over pairs of positions of (<s_i, s_j> - <t_i, t_j>)^2, vectors of unit length. Memory:
// (h w / pool^2)^2 for each image.
class PairwiseLoss : public TapLoss {
 public:
  explicit PairwiseLoss(const PairwiseOptions& options)
      : TapLoss(options.tap, /*same_width=*/false), pairwise_(options) {}

 private:
  torch::Tensor SumOverImages(const torch::Tensor& student, const torch::Tensor& teacher,
                              const LossInputs& inputs) override;
  torch::Tensor PooledVectors(const torch::Tensor& map) const;  // [N,C,p]
  const PairwiseOptions pairwise_;
};

struct CategorySimilarityOptions {
  TapLossOptions tap{.tap = "logits"};  // both of the same width
  int64_t pool = 2;                     // window and stride of the average-pool; 1: none
  double temperature = 4;

  absl::Status Validate() const;
};

// P_c = softmax of class map c over the pooled positions; mean over pairs of classes of
// (<P_c, P_d>_S - <P_c, P_d>_T)^2.
class CategorySimilarityLoss : public TapLoss {
 public:
  explicit CategorySimilarityLoss(const CategorySimilarityOptions& options)
      : TapLoss(options.tap, /*same_width=*/true),
        pool_(options.pool),
        temperature_(options.temperature) {}

 private:
  torch::Tensor SumOverImages(const torch::Tensor& student, const torch::Tensor& teacher,
                              const LossInputs& inputs) override;
  const int64_t pool_;
  const double temperature_;
};

}  // namespace reflux
