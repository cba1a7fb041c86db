// Pixel-wise distillation: Hinton et al. 2015 (arXiv 1503.02531) at every position of the logits.
#pragma once

#include "absl/status/status.h"
#include "distill/losses/loss.h"

namespace reflux {

struct PixelKdOptions {
  enum class DivideBy { kPositions, kElements, kBatch };  // B h w; B C h w (AICSD's code); B

  double temperature = 1;
  bool temperature_squared = true;  // multiply by T^2, as Hinton et al.; AICSD's code does not
  DivideBy divide_by = DivideBy::kPositions;

  absl::Status Validate() const;
};

// T^2 / (B h w) sum over positions of KL(softmax(z_T / T) || softmax(z_S / T)). Student logits of
// another size are resized to the teacher's. Additive.
class PixelKdLoss : public Loss {
 public:
  explicit PixelKdLoss(const PixelKdOptions& options) : options_(options) {}
  LossStatistics Local(const LossInputs& inputs) override;
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return true; }
  std::vector<std::string> student_taps() const override { return {"logits"}; }
  std::vector<std::string> teacher_taps() const override { return {"logits"}; }

 private:
  int64_t Divisor(const torch::Tensor& logits) const;
  const PixelKdOptions options_;
};

}  // namespace reflux
