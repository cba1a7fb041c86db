// What the feature losses share: one tap of both networks, compared image by image.
#pragma once

#include <torch/nn/modules/conv.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "distill/losses/loss.h"

namespace reflux {

struct TapLossOptions {
  std::string tap = "aspp";
  // Channels of the tap on both sides; a loss that compares channel by channel maps the student's
  // by a 1x1 convolution `conv` without bias (a parameter of the loss, drawn from `seed`) when
  // they differ.
  int64_t student_channels = 0, teacher_channels = 0;
  uint64_t seed = 0;

  absl::Status Validate(absl::string_view loss) const;  // `loss` as in the job file
};

// The mean over the images of a value of each image. Additive. A student's map of another size is
// resized (bilinear, aligned corners) to the teacher's; the teacher is a constant.
class TapLoss : public Loss {
 public:
  LossStatistics Local(const LossInputs& inputs) final;
  torch::Tensor Finish(const LossStatistics& global) final;
  bool additive() const final { return true; }
  std::vector<std::string> student_taps() const final { return {options_.tap}; }
  std::vector<std::string> teacher_taps() const final { return {options_.tap}; }

 protected:
  TapLoss(const TapLossOptions& options, bool same_width);
  // The sum over the images; both maps [N,*,h,w] of the same h and w.
  virtual torch::Tensor SumOverImages(const torch::Tensor& student, const torch::Tensor& teacher,
                                      const LossInputs& inputs) = 0;
  const TapLossOptions& options() const { return options_; }

 private:
  const TapLossOptions options_;
  torch::nn::Conv2d conv_{nullptr};
};

}  // namespace reflux
