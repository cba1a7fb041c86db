#include "distill/losses/frskd_classifier_loss.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/losses/label_rotation.h"
#include "distill/models/build_model.h"
#include "distill/models/image_classifier.h"

namespace reflux {
namespace {

using torch::Tensor;

FrskdTermOptions TermOptions(const FrskdClassifierOptions& options) {
  return {.features = options.features,
          .temperature = options.temperature,
          .power = options.power,
          .student_channels = options.self_teacher.channels,
          .teacher_channels = options.self_teacher.widths()};
}

// [N,C] as a map of one position.
Tensor AsMap(const Tensor& logits) { return logits.unsqueeze(-1).unsqueeze(-1); }

}  // namespace

absl::Status FrskdClassifierOptions::Validate() const {
  for (const auto& [field, value] :
       {std::pair("alpha", alpha), std::pair("beta", beta), std::pair("sla_weight", sla_weight)}) {
    if (value >= 0) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("losses.frskd_classifier.", field, ": ", value, " is negative"));
  }
  if (absl::Status s = self_teacher.Validate(); !s.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("losses.frskd_classifier: ", s.message()));
  }
  return TermOptions(*this).Validate();
}

FrskdClassifierLoss::FrskdClassifierLoss(const FrskdClassifierOptions& options)
    : options_(options) {
  const BifpnOptions& pyramid = options.self_teacher;
  self_teacher_ = register_module("self_teacher", Bifpn(pyramid));
  terms_ = register_module("terms", std::make_shared<FrskdTerms>(TermOptions(options)));
  if (options.sla) {
    const int64_t classes = kRotations * pyramid.num_classes;
    joint_ = register_module("joint", torch::nn::Linear(pyramid.channels.back(), classes));
    self_teacher_joint_ =
        register_module("self_teacher_joint", torch::nn::Linear(pyramid.widths().back(), classes));
  }
  InitializeWeights(*this, options.seed);
}

std::vector<std::string> FrskdClassifierLoss::student_taps() const {
  std::vector<std::string> taps = {"logits"};
  for (size_t i = 0; i < options_.self_teacher.channels.size(); ++i) {
    taps.push_back(StageTap(i, before_relu()));
  }
  return taps;
}

std::vector<Tensor> FrskdClassifierLoss::Stages(const std::map<std::string, Tensor>& maps) const {
  std::vector<Tensor> stages;
  for (size_t i = 0; i < options_.self_teacher.channels.size(); ++i) {
    stages.push_back(RequireMap(maps, StageTap(i, before_relu()), "student"));
  }
  return stages;
}

Tensor FrskdClassifierLoss::MarginOf(size_t level) const {
  if (!before_relu()) return {};
  const BatchNorm2d norm = self_teacher_->final_norms()[level];
  if (options_.margin == FrskdOptions::Margin::kTrained)
    return OverhaulMargin(norm->weight, norm->bias);
  return OverhaulMargin(torch::ones_like(norm->weight), torch::zeros_like(norm->bias));
}

Tensor FrskdClassifierLoss::Features(const Views& views) {
  std::vector<Tensor> levels;
  for (size_t i = 0; i < views.student_maps.size(); ++i) {
    levels.push_back(terms_->Level(static_cast<int64_t>(i), views.student_maps[i],
                                   views.refined_maps[i], MarginOf(i)));
  }
  return torch::stack(levels).sum();
}

std::pair<Tensor, Tensor> FrskdClassifierLoss::AddRotations(const LossInputs& inputs,
                                                            Views& views) {
  const std::vector<Tensor> maps = Stages(inputs.rotated);
  const BifpnOutputs refined = self_teacher_->forward(maps, before_relu());
  const Tensor joint = JointLogits(joint_, torch::relu(maps.back()));
  const Tensor refined_joint = JointLogits(self_teacher_joint_, torch::relu(refined.maps.back()));
  const Tensor average = AverageOverRotations(joint);
  const Tensor refined_average = AverageOverRotations(refined_joint);
  const Tensor soft = SoftLabelSum(views.student, average, options_.temperature) +
                      SoftLabelSum(views.refined, refined_average, options_.temperature);
  views.student = torch::cat({views.student, average});
  views.refined = torch::cat({views.refined, refined_average});
  for (size_t i = 0; i < maps.size(); ++i) {
    views.student_maps[i] = torch::cat({views.student_maps[i], maps[i]});
    views.refined_maps[i] = torch::cat({views.refined_maps[i], refined.maps[i]});
  }
  return {JointCrossEntropySum(joint, inputs) + JointCrossEntropySum(refined_joint, inputs), soft};
}

LossStatistics FrskdClassifierLoss::Local(const LossInputs& inputs) {
  Views views{.student = RequireMap(inputs.student, "logits", "student").flatten(1),
              .student_maps = Stages(inputs.student)};
  BifpnOutputs refined = self_teacher_->forward(views.student_maps, before_relu());
  views.refined = refined.logits;
  views.refined_maps = std::move(refined.maps);
  std::vector<Tensor> sums = {
      LabelCrossEntropySum(AsMap(refined.logits), inputs, /*align_corners=*/true)};
  Tensor joint, joint_soft;
  if (options_.sla) std::tie(joint, joint_soft) = AddRotations(inputs, views);
  sums.push_back(terms_->SoftLabels(views.student, views.refined));
  sums.push_back(Features(views));
  if (options_.sla) sums.insert(sums.end(), {joint, joint_soft});
  return {torch::stack(sums),
          torch::tensor({inputs.labels.ne(inputs.ignore_index).sum().item<double>(),
                         static_cast<double>(inputs.labels.size(0))},
                        torch::kFloat64)};
}

Tensor FrskdClassifierLoss::Finish(const LossStatistics& global) {
  const Tensor counts = global.counts.clamp_min(1).to(global.sums.options());
  // Plain images, and with sla their averages, or their four rotations.
  const double logits = options_.sla ? 2 : 1, maps = options_.sla ? 1 + kRotations : 1;
  Tensor total = global.sums[0] / counts[0] + (options_.alpha / logits * global.sums[1] +
                                               options_.beta / maps * global.sums[2]) /
                                                  counts[1];
  if (!options_.sla) return total;
  return total + global.sums[3] / (counts[0] * kRotations) +
         options_.sla_weight * global.sums[4] / counts[1];
}

std::map<std::string, double> FrskdClassifierLoss::Parts(const LossStatistics& global) {
  const auto mean = [&](int64_t sum, int64_t count, double times) {
    return global.sums[sum].item<double>() /
           (times * std::max(global.counts[count].item<double>(), 1.0));
  };
  std::map<std::string, double> parts = {
      {"self_teacher", mean(0, 0, 1)},
      {"soft_labels", mean(1, 1, options_.sla ? 2 : 1)},
      {"features", mean(2, 1, options_.sla ? 1 + kRotations : 1)}};
  if (options_.sla) {
    parts["joint"] = mean(3, 0, kRotations);
    parts["joint_soft_labels"] = mean(4, 1, 1);
  }
  return parts;
}

}  // namespace reflux
