// FRSKD for segmentation (CVPR 2021): no teacher, but a self-teacher that reads the student's own
// feature maps, trains beside it on the labels, and is left behind when the student is exported.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "distill/losses/frskd_terms.h"
#include "distill/losses/loss.h"
#include "distill/models/self_teacher.h"

namespace reflux {

struct FrskdOptions {
  enum class Margin {
    kTrained,    // from the self-teacher's norms as they are at the step
    kUntrained,  // as published: from norms that have not been trained, the same for all channels
  };

  std::vector<std::string> taps = {"c1", "c2", "c3", "c4"};  // finest first
  double alpha = 1, beta = 50;  // of the soft labels and of the refined maps; as published
  // Share of the run in which both heads learn from the labels alone (published: 40 of 60 epochs),
  // and whether the distillation terms then grow (FrskdRamp over steps) or are there at once.
  double warmup = 2.0 / 3;
  bool ramp = true;
  FrskdFeatures features = FrskdFeatures::kAttention;
  double temperature = 1;
  int64_t power = 2;
  Margin margin = Margin::kTrained;  // of overhaul
  SelfTeacherOptions self_teacher;   // its channels are those of the taps
  uint64_t seed = 0;                 // of the parameters

  absl::Status Validate() const;
};

absl::StatusOr<FrskdOptions::Margin> ParseFrskdMargin(
    absl::string_view name);  // trained, untrained

// CE(self-teacher's logits) + ramp (alpha KL(self-teacher || student) + beta sum over taps of the
// feature term). The student's own cross entropy is CrossEntropyLoss beside it. Both logits are
// resized (bilinear, aligned corners) to the labels; KL is T^2 times its mean over all positions,
// ignored ones too, as published. Refined maps and soft labels are constants, but through its own
// cross entropy the self-teacher is not detached from the student. Reads the student's "logits" and
// the taps. The self-teacher is "self_teacher.", connectors of FitNet and overhaul "terms.linear.";
// its batch norms must be synchronised (SetBatchNormSync) when there are several ranks.
class FrskdLoss : public Loss {
 public:
  explicit FrskdLoss(const FrskdOptions& options);
  LossStatistics Local(const LossInputs& inputs) override;
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return false; }
  // "self_teacher" (its cross entropy), and once the warm-up is over "soft_labels" and "features".
  std::map<std::string, double> Parts(const LossStatistics& global) override;
  std::vector<std::string> student_taps() const override;
  std::vector<std::string> teacher_taps() const override { return {}; }

  // Weight of the distillation terms at a step of a run.
  double RampAt(uint64_t step, int64_t total_steps) const;

 private:
  // Sums over this rank's images.
  torch::Tensor SoftLabels(const LossInputs& inputs, const SelfTeacherOutputs& refined) const;
  torch::Tensor Features(const std::vector<torch::Tensor>& maps, const SelfTeacherOutputs& refined);
  torch::Tensor MarginOf(size_t level) const;

  const FrskdOptions options_;
  SelfTeacher self_teacher_{nullptr};
  std::shared_ptr<FrskdTerms> terms_;
  double ramp_ = 1;  // at the step of the last Local
};

}  // namespace reflux
