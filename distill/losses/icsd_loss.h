// ICSD: inter-class similarity distillation (AICSD, arXiv 2308.04243).
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "distill/losses/loss.h"

namespace reflux {

struct IcsdOptions {
  // P_i: softmax of class map i over all positions of an image; K^b_ij = KL(P_i || P_j) of image b.
  enum class Form {
    kFull,      // K = mean_b K^b, rows normalised, L = 1/(B C^2) ||K_S - K_T||^2
    kMirror,    // K_ij = K_ji = mean_b KL(P_j || P_i) for i < j, otherwise as full
    kPerImage,  // every K^b with normalised rows; mean over b, i, j, divided by B
    kFullRaw,   // full without the row normalisation
    kCode,      // the published code: softmax over rows only, a probability where KL wants its log
    kGram,      // its companion `ic_loss`: K^b = z z^T of the logits with normalised rows;
                // L = 1/(B C) sum_b ||K^b_S - K^b_T||^2, no softmax, no temperature
  };
  Form form = Form::kFull;
  double temperature = 1;

  absl::Status Validate() const;
};

absl::StatusOr<IcsdOptions::Form> ParseIcsdForm(absl::string_view name);  // "full", "mirror", ...

// Statistics: the sums over images of the student's and the teacher's C x C matrices (for per_image
// and gram the sum of squared differences); count: images. By matrix products; nothing of size C x
// C x HW is made.
class IcsdLoss : public Loss {
 public:
  explicit IcsdLoss(const IcsdOptions& options) : options_(options) {}
  LossStatistics Local(const LossInputs& inputs) override;
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return false; }
  std::vector<std::string> student_taps() const override { return {"logits"}; }
  std::vector<std::string> teacher_taps() const override { return {"logits"}; }

 private:
  const IcsdOptions options_;
};

// The matrices of every image, [B,C,C], before any normalisation, in the given form.
torch::Tensor SimilarityMatrices(const torch::Tensor& logits, const IcsdOptions& options);

}  // namespace reflux
