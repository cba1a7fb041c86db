// Losses that compare a feature map position by position: attention transfer (arXiv 1612.03928),
// FitNet's hints (arXiv 1412.6550) and IFVD, intra-class feature variation (ECCV 2020).
#pragma once

#include "distill/losses/tap_loss.h"

namespace reflux {

struct AttentionTransferOptions {
  TapLossOptions tap;
  int64_t power = 2;

  absl::Status Validate() const;
};

// Sum over the images of the mean over positions of (a(student) - a(teacher))^2, where a(F) = mean
// over channels of F^power, a vector of unit length for each image; maps [N,*,h,w].
torch::Tensor AttentionDifferenceSum(const torch::Tensor& student, const torch::Tensor& teacher,
                                     int64_t power);

// The mean over the images of AttentionDifferenceSum's terms.
class AttentionTransferLoss : public TapLoss {
 public:
  explicit AttentionTransferLoss(const AttentionTransferOptions& options)
      : TapLoss(options.tap, /*same_width=*/false), power_(options.power) {}

 private:
  torch::Tensor SumOverImages(const torch::Tensor& student, const torch::Tensor& teacher,
                              const LossInputs& inputs) override;
  const int64_t power_;
};

// Mean over channels and positions of (conv(S) - T)^2.
class FitNetLoss : public TapLoss {
 public:
  explicit FitNetLoss(const TapLossOptions& options) : TapLoss(options, /*same_width=*/true) {}

 private:
  torch::Tensor SumOverImages(const torch::Tensor& student, const torch::Tensor& teacher,
                              const LossInputs& inputs) override;
};

struct IfvdOptions {
  TapLossOptions tap;
  int64_t num_classes = 0;
  double mean_epsilon = 1e-6, cosine_epsilon = 1e-8;  // as published

  absl::Status Validate() const;
};

// v = cosine of each position's feature with the mean feature of its class in its image (labels
// downsampled by nearest); (v_S - v_T)^2 summed over labelled positions, divided by h w. Positions
// that are ignored count as agreeing, as published.
class IfvdLoss : public TapLoss {
 public:
  explicit IfvdLoss(const IfvdOptions& options)
      : TapLoss(options.tap, /*same_width=*/false), ifvd_(options) {}

 private:
  torch::Tensor SumOverImages(const torch::Tensor& student, const torch::Tensor& teacher,
                              const LossInputs& inputs) override;
  torch::Tensor Variation(const torch::Tensor& map, const torch::Tensor& labels,
                          int64_t ignore_index) const;  // [N,hw], 0 where ignored
  const IfvdOptions ifvd_;
};

}  // namespace reflux
