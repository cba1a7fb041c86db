#include "distill/losses/label_rotation.h"

#include <torch/nn/functional.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

namespace F = torch::nn::functional;
using torch::Tensor;
using torch::indexing::Slice;

}  // namespace

Tensor RotateFour(const Tensor& images) {
  TORCH_CHECK_VALUE(images.size(2) == images.size(3), "only square images are rotated, not ",
                    images.size(2), "x", images.size(3));
  std::vector<Tensor> rotated;
  for (int64_t k = 0; k < kRotations; ++k) rotated.push_back(torch::rot90(images, k, {2, 3}));
  return torch::stack(rotated, 1).flatten(0, 1);
}

Tensor JointLabels(const Tensor& labels, int64_t ignore_index) {
  const Tensor flat = labels.flatten();
  std::vector<Tensor> joint;
  for (int64_t k = 0; k < kRotations; ++k) {
    joint.push_back(torch::where(flat.eq(ignore_index), flat, flat * kRotations + k));
  }
  return torch::stack(joint, 1).flatten();
}

Tensor AverageOverRotations(const Tensor& joint) {
  Tensor sum;
  for (int64_t k = 0; k < kRotations; ++k) {
    const Tensor own = joint.index(
        {Slice(k, torch::indexing::None, kRotations), Slice(k, torch::indexing::None, kRotations)});
    sum = sum.defined() ? sum + own : own;
  }
  return sum / static_cast<double>(kRotations);
}

Tensor JointLogits(torch::nn::Linear& classifier, const Tensor& maps) {
  return classifier->forward(maps.mean({2, 3}));
}

Tensor SoftLabelSum(const Tensor& student, const Tensor& teacher, double temperature) {
  const Tensor log_student = torch::log_softmax(student / temperature, 1);
  const Tensor log_teacher = torch::log_softmax(teacher.detach() / temperature, 1);
  return (log_teacher.exp() * (log_teacher - log_student)).sum() * (temperature * temperature);
}

Tensor JointCrossEntropySum(const Tensor& joint, const LossInputs& inputs) {
  // No joint label is this: those of classes are at least 0.
  constexpr int64_t kIgnored = -1;
  const Tensor labels = JointLabels(
      inputs.labels.masked_fill(inputs.labels.eq(inputs.ignore_index), kIgnored), kIgnored);
  return F::cross_entropy(
      joint, labels, F::CrossEntropyFuncOptions().ignore_index(kIgnored).reduction(torch::kSum));
}

absl::Status SlaOptions::Validate() const {
  if (!(temperature > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("losses.sla.temperature: ", temperature, " is not positive"));
  }
  if (!(distillation >= 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("losses.sla.distillation: ", distillation, " is negative"));
  }
  if (channels < 1 || num_classes < 2)
    return absl::InvalidArgumentError("losses.sla: needs a classifier's last map");
  return absl::OkStatus();
}

SlaLoss::SlaLoss(const SlaOptions& options) : options_(options) {
  joint_ = register_module("joint",
                           torch::nn::Linear(options.channels, kRotations * options.num_classes));
  InitializeWeights(*this, options.seed);
}

LossStatistics SlaLoss::Local(const LossInputs& inputs) {
  const Tensor logits = RequireMap(inputs.student, "logits", "student").flatten(1);
  const Tensor joint =
      JointLogits(joint_, RequireMap(inputs.rotated, options_.tap, "student on rotated images"));
  const Tensor soft = SoftLabelSum(logits, AverageOverRotations(joint), options_.temperature);
  return {torch::stack({JointCrossEntropySum(joint, inputs), soft}),
          torch::tensor({inputs.labels.ne(inputs.ignore_index).sum().item<double>(),
                         static_cast<double>(logits.size(0))},
                        torch::kFloat64)};
}

Tensor SlaLoss::Finish(const LossStatistics& global) {
  const Tensor counts = global.counts.clamp_min(1).to(global.sums.options());
  return global.sums[0] / (counts[0] * kRotations) +
         options_.distillation * global.sums[1] / counts[1];
}

std::map<std::string, double> SlaLoss::Parts(const LossStatistics& global) {
  const auto mean = [&](int64_t i, int64_t times) {
    return global.sums[i].item<double>() / (times * std::max(global.counts[i].item<double>(), 1.0));
  };
  return {{"joint", mean(0, kRotations)}, {"soft_labels", mean(1, 1)}};
}

}  // namespace reflux
