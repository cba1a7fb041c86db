#include "distill/losses/feature_losses.h"

#include <torch/nn/functional.h>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "distill/losses/prototypes.h"

namespace reflux {

namespace F = torch::nn::functional;
using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

namespace {

// Mean over channels of F^2, [N,C,h,w] -> [N,h,w]. The backward of pow makes the power again and
// passes over the map three times; this one needs a single pass.
struct MeanSquare : torch::autograd::Function<MeanSquare> {
  static Tensor forward(AutogradContext* context, const Tensor& map) {
    context->save_for_backward({map});
    return map.square().mean(1);
  }
  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    const Tensor map = context->get_saved_variables()[0];
    const double share = 2 / static_cast<double>(map.size(1));
    return {map * (gradients[0] * share).unsqueeze(1)};
  }
};

Tensor MeanPower(const Tensor& map, int64_t power) {
  return power == 2 ? MeanSquare::apply(map) : map.pow(power).mean(1);
}

}  // namespace

absl::Status AttentionTransferOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(tap.Validate("at"));
  if (power >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("losses.at.power: ", power, " is below 1"));
}

Tensor AttentionDifferenceSum(const Tensor& student, const Tensor& teacher, int64_t power) {
  const auto attention = [&](const Tensor& map) {
    return UnitVectors(MeanPower(map, power).flatten(1), 1);
  };
  const Tensor difference = attention(student) - attention(teacher);
  return difference.square().sum() / static_cast<double>(difference.size(1));
}

Tensor AttentionTransferLoss::SumOverImages(const Tensor& student, const Tensor& teacher,
                                            const LossInputs&) {
  return AttentionDifferenceSum(student, teacher, power_);
}

Tensor FitNetLoss::SumOverImages(const Tensor& student, const Tensor& teacher, const LossInputs&) {
  const int64_t elements = teacher.size(1) * teacher.size(2) * teacher.size(3);
  return SquaredDistance(student, teacher) / static_cast<double>(elements);
}

absl::Status IfvdOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(tap.Validate("ifvd"));
  if (num_classes >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError("losses.ifvd: needs a class");
}

Tensor IfvdLoss::Variation(const Tensor& map, const Tensor& labels, int64_t ignore_index) const {
  const ClassSums classes = SumByClass(map, labels, ifvd_.num_classes, ignore_index);
  const Tensor means =
      classes.sums / (classes.counts + ifvd_.mean_epsilon).to(map.dtype()).unsqueeze(2);
  const Tensor flat = labels.flatten(1);
  const Tensor valid = flat.ne(ignore_index) & flat.ge(0) & flat.lt(ifvd_.num_classes);
  const Tensor index = flat.masked_fill(~valid, 0).unsqueeze(2).expand({-1, -1, means.size(2)});
  const Tensor cosine =
      F::cosine_similarity(map.flatten(2).transpose(1, 2), means.gather(1, index),
                           F::CosineSimilarityFuncOptions().dim(2).eps(ifvd_.cosine_epsilon));
  return cosine.masked_fill(~valid, 0);
}

Tensor IfvdLoss::SumOverImages(const Tensor& student, const Tensor& teacher,
                               const LossInputs& inputs) {
  const Tensor labels = DownsampleLabels(inputs.labels, teacher.size(2), teacher.size(3));
  const Tensor difference = Variation(student, labels, inputs.ignore_index) -
                            Variation(teacher, labels, inputs.ignore_index);
  return difference.square().sum() / static_cast<double>(teacher.size(2) * teacher.size(3));
}

}  // namespace reflux
