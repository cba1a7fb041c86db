// CWD: channel-wise knowledge distillation for dense prediction (arXiv 2011.13256).
#pragma once

#include "absl/status/statusor.h"
#include "distill/losses/tap_loss.h"

namespace reflux {

struct ChannelWiseOptions {
  enum class Norm {
    kChannel,  // softmax of each channel over the positions: the paper's
    kSpatial,  // softmax of each position over the channels: pixel-wise KD on any tap
  };
  enum class DivideBy {
    kTeacherChannels,  // the channels that are compared: the paper's
    kStudentChannels,  // as published: the student's, counted before the projection
  };

  TapLossOptions tap{.tap = "logits"};
  double temperature = 4;
  bool temperature_squared = true;
  Norm norm = Norm::kChannel;
  DivideBy divide_by = DivideBy::kTeacherChannels;  // norm channel alone; spatial: h w

  absl::Status Validate() const;
};

absl::StatusOr<ChannelWiseOptions::Norm> ParseCwdNorm(absl::string_view name);
absl::StatusOr<ChannelWiseOptions::DivideBy> ParseCwdDivideBy(absl::string_view name);

// T^2 / C times the sum over channels of KL(softmax(T_c / T) || softmax(S_c / T)), mean over
// images.
class ChannelWiseLoss : public TapLoss {
 public:
  explicit ChannelWiseLoss(const ChannelWiseOptions& options)
      : TapLoss(options.tap, /*same_width=*/true), cwd_(options) {}

 private:
  torch::Tensor SumOverImages(const torch::Tensor& student, const torch::Tensor& teacher,
                              const LossInputs& inputs) override;
  double Divisor(const torch::Tensor& teacher) const;
  const ChannelWiseOptions cwd_;
};

}  // namespace reflux
