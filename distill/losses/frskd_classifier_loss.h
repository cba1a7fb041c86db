// FRSKD for classification (CVPR 2021): no teacher, but a pyramid (BiFPNc, BiFPN) that refines the
// student's own feature maps, trains beside it on the labels, and is left behind when the student
// is exported.
#pragma once

#include <torch/nn/modules/linear.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "distill/losses/frskd_loss.h"
#include "distill/losses/frskd_terms.h"
#include "distill/losses/loss.h"
#include "distill/models/bifpn.h"

namespace reflux {

struct FrskdClassifierOptions {
  double alpha = 2, beta = 100;  // of the soft labels and of the refined maps; as published
  double temperature = 4;
  FrskdFeatures features = FrskdFeatures::kAttention;
  int64_t power = 2;
  FrskdOptions::Margin margin = FrskdOptions::Margin::kTrained;  // of overhaul
  bool sla = false;           // with label augmentation by rotation (label_rotation.h)
  double sla_weight = 1;      // of what its joint classifiers teach the plain ones
  BifpnOptions self_teacher;  // its channels are those of the student's stages c1, c2, ...
  uint64_t seed = 0;          // of the parameters

  absl::Status Validate() const;
};

// CE(self-teacher's logits) + alpha T^2 KL(self-teacher || student) + beta sum over the stages of
// the feature term, each a mean over the images; the student's own cross entropy is
// CrossEntropyLoss beside it. Refined maps and soft labels are constants; through its own cross
// entropy the self-teacher is not detached from the student (published). Reads the student's
// "logits" and its stages, for overhaul before their ReLU.
//
// With sla: student and self-teacher have a joint classifier each ("joint", "self_teacher_joint")
// that learns from the rotated images; averaged over the rotations these teach the plain ones; and
// the terms above run over plain and averaged logits, maps of plain and rotated images.
//
// The self-teacher is "self_teacher.", connectors "terms.linear."; its batch norms must be
// synchronised (SetBatchNormSync) when there are several ranks.
class FrskdClassifierLoss : public Loss {
 public:
  explicit FrskdClassifierLoss(const FrskdClassifierOptions& options);
  LossStatistics Local(const LossInputs& inputs) override;
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return false; }
  bool reads_rotations() const override { return options_.sla; }
  // "self_teacher" (its cross entropy), "soft_labels", "features"; with sla also "joint" (both
  // cross entropies) and "joint_soft_labels".
  std::map<std::string, double> Parts(const LossStatistics& global) override;
  std::vector<std::string> student_taps() const override;
  std::vector<std::string> teacher_taps() const override { return {}; }

 private:
  // What the distillation terms compare.
  struct Views {
    torch::Tensor student, refined;  // logits
    std::vector<torch::Tensor> student_maps, refined_maps;
  };
  bool before_relu() const { return options_.features == FrskdFeatures::kOverhaul; }
  std::vector<torch::Tensor> Stages(const std::map<std::string, torch::Tensor>& maps) const;
  // Adds the rotated images to `views`; {joint cross entropies, joint soft labels}, sums.
  std::pair<torch::Tensor, torch::Tensor> AddRotations(const LossInputs& inputs, Views& views);
  torch::Tensor Features(const Views& views);
  torch::Tensor MarginOf(size_t level) const;

  const FrskdClassifierOptions options_;
  Bifpn self_teacher_{nullptr};
  std::shared_ptr<FrskdTerms> terms_;
  torch::nn::Linear joint_{nullptr}, self_teacher_joint_{nullptr};
};

}  // namespace reflux
