// Self-supervised label augmentation by rotation (SLA; Lee et al. 2020, arXiv 1910.05872; as
// FRSKD's code has it, distill_loss/sla.py): a joint classifier tells class and rotation of an
// image at once, and, averaged over the rotations, teaches the plain classifier.
#pragma once

#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include "absl/status/status.h"
#include "distill/losses/loss.h"

namespace reflux {

inline constexpr int64_t kRotations = 4;

// [N,C,H,W] -> [4N,C,H,W]: image i turned by k quarters to the left is row 4 i + k. H must be W.
torch::Tensor RotateFour(const torch::Tensor& images);
// Joint labels [4N] of `labels` [N,1,1]: class c and rotation k are 4 c + k, ignored ones stay.
torch::Tensor JointLabels(const torch::Tensor& labels, int64_t ignore_index);
// Joint logits [4N,4C] -> [N,C]: of each rotation the logits of that rotation, averaged.
torch::Tensor AverageOverRotations(const torch::Tensor& joint);
// Joint logits [4N,4C] of maps [4N,channels,h,w], of whose positions the mean is taken.
torch::Tensor JointLogits(torch::nn::Linear& classifier, const torch::Tensor& maps);
// T^2 sum over rows of KL(softmax(teacher / T) || softmax(student / T)); both [N,C], the teacher's
// constant.
torch::Tensor SoftLabelSum(const torch::Tensor& student, const torch::Tensor& teacher,
                           double temperature);
// Sum over the rows of the cross entropy of joint logits.
torch::Tensor JointCrossEntropySum(const torch::Tensor& joint, const LossInputs& inputs);

struct SlaOptions {
  std::string tap;       // the student's last map
  int64_t channels = 0;  // of it
  int64_t num_classes = 0;
  double distillation = 1, temperature = 4;
  uint64_t seed = 0;  // of the parameters

  absl::Status Validate() const;
};

// mean over rotated images of CE(joint logits, joint labels) + distillation T^2 mean over images of
// KL(averaged joint logits || logits). The plain cross entropy is CrossEntropyLoss beside it. The
// joint classifier is "joint.". Reads the student's "logits" and `tap`, of rotated images too.
class SlaLoss : public Loss {
 public:
  explicit SlaLoss(const SlaOptions& options);
  LossStatistics Local(const LossInputs& inputs) override;
  torch::Tensor Finish(const LossStatistics& global) override;
  bool additive() const override { return false; }
  bool reads_rotations() const override { return true; }
  std::map<std::string, double> Parts(const LossStatistics& global) override;  // joint, soft_labels
  std::vector<std::string> student_taps() const override { return {"logits", options_.tap}; }
  std::vector<std::string> teacher_taps() const override { return {}; }

 private:
  const SlaOptions options_;
  torch::nn::Linear joint_{nullptr};
};

}  // namespace reflux
