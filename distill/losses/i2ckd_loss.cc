#include "distill/losses/i2ckd_loss.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/choose.h"
#include "common/targets/target.h"
#include "distill/losses/cross_entropy_loss.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

// Sums [N,K,C] to means where there are pixels, 0 elsewhere.
torch::Tensor MeanOf(const torch::Tensor& sums, const torch::Tensor& counts) {
  return sums / counts.clamp_min(1).to(sums.dtype()).unsqueeze(-1);
}

ClassSums SumsOf(const torch::Tensor& map, const torch::Tensor& labels, int64_t num_classes,
                 int64_t ignore_index) {
  return SumByClass(map, DownsampleLabels(labels, map.size(2), map.size(3)), num_classes,
                    ignore_index);
}

}  // namespace

absl::StatusOr<I2ckdOptions::Mean> ParsePrototypeMean(absl::string_view name) {
  using Mean = I2ckdOptions::Mean;
  return Choose<Mean>(
      "losses.i2ckd.prototypes", name,
      {{"batch", Mean::kBatch}, {"image_mean", Mean::kImageMean}, {"per_image", Mean::kPerImage}});
}
absl::StatusOr<I2ckdOptions::Labels> ParsePrototypeLabels(absl::string_view name) {
  using Labels = I2ckdOptions::Labels;
  return Choose<Labels>("losses.i2ckd.labels", name,
                        {{"ground_truth", Labels::kGroundTruth}, {"teacher", Labels::kTeacher}});
}
absl::StatusOr<PrototypeDistance> ParsePrototypeDistance(absl::string_view name) {
  using D = PrototypeDistance;
  return Choose<D>("losses.i2ckd.distance", name,
                   {{"l2", D::kL2}, {"squared", D::kSquared}, {"cosine", D::kCosine}});
}
absl::StatusOr<PrototypeNegatives> ParsePrototypeNegatives(absl::string_view name) {
  using N = PrototypeNegatives;
  return Choose<N>("losses.i2ckd.negatives", name, {{"all", N::kAll}, {"hardest", N::kHardest}});
}
absl::StatusOr<PrototypeAnchor> ParsePrototypeAnchor(absl::string_view name) {
  using A = PrototypeAnchor;
  return Choose<A>("losses.i2ckd.anchor", name,
                   {{"student", A::kStudent}, {"teacher", A::kTeacher}});
}

absl::Status I2ckdOptions::Validate() const {
  if (num_classes < 2)
    return absl::InvalidArgumentError("losses.i2ckd: needs at least two classes");
  if (!(triplet.margin >= 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("losses.i2ckd.margin: ", triplet.margin, " is negative"));
  }
  if (student_channels < 1 || teacher_channels < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("losses.i2ckd.tap: '", tap, "' has no channels"));
  }
  if (reduced && labels == Labels::kTeacher) {
    return absl::InvalidArgumentError(
        "losses.i2ckd.labels: the teacher sums by the ground truth, not by its own logits");
  }
  return absl::OkStatus();
}

I2ckdLoss::I2ckdLoss(const I2ckdOptions& options) : options_(options) {
  if (options.student_channels == options.teacher_channels) return;
  align_ = register_module("align", torch::nn::Conv2d(torch::nn::Conv2dOptions(
                                        options.student_channels, options.teacher_channels, 1)));
  InitializeWeights(*this, options.seed);
}

std::vector<std::string> I2ckdLoss::teacher_taps() const {
  if (options_.reduced) return {TargetName(options_.tap, Reduction::kClassSums)};
  if (options_.labels == I2ckdOptions::Labels::kGroundTruth || options_.tap == "logits")
    return {options_.tap};
  return {options_.tap, "logits"};
}

torch::Tensor I2ckdLoss::LabelsOf(const LossInputs& inputs) const {
  if (options_.labels == I2ckdOptions::Labels::kGroundTruth) return inputs.labels;
  return RequireMap(inputs.teacher, "logits", "teacher").argmax(1);
}

ClassSums I2ckdLoss::TeacherSums(const LossInputs& inputs, const torch::Tensor& labels) const {
  const torch::Tensor map = RequireMap(inputs.teacher, teacher_taps()[0], "teacher").detach();
  if (!options_.reduced) return SumsOf(map, labels, options_.num_classes, inputs.ignore_index);
  // [N,C+1,K,1]: sums, then counts.
  TORCH_CHECK(map.size(2) == options_.num_classes, "i2ckd: the teacher summed ", map.size(2),
              " classes, the labels have ", options_.num_classes);
  const torch::Tensor sums = map.squeeze(3);
  const int64_t channels = sums.size(1) - 1;
  return {sums.narrow(1, 0, channels).transpose(1, 2),
          sums.select(1, channels).to(torch::kFloat64)};
}

LossStatistics I2ckdLoss::Local(const LossInputs& inputs) {
  torch::Tensor student = RequireMap(inputs.student, options_.tap, "student");
  if (!align_.is_empty()) student = align_->forward(student);
  const torch::Tensor labels = LabelsOf(inputs);
  const ClassSums of_student = SumsOf(student, labels, options_.num_classes, inputs.ignore_index);
  const ClassSums of_teacher = TeacherSums(inputs, labels);
  switch (options_.mean) {
    case I2ckdOptions::Mean::kPerImage:
      return PerImage(of_student, of_teacher);
    case I2ckdOptions::Mean::kBatch:
      return {torch::cat({of_student.sums.sum(0).flatten(), of_teacher.sums.sum(0).flatten()}),
              torch::cat({of_student.counts.sum(0), of_teacher.counts.sum(0)})};
    case I2ckdOptions::Mean::kImageMean:
      break;
  }
  return {torch::cat({MeanOf(of_student.sums, of_student.counts).sum(0).flatten(),
                      MeanOf(of_teacher.sums, of_teacher.counts).sum(0).flatten()}),
          torch::cat({(of_student.counts > 0).sum(0), (of_teacher.counts > 0).sum(0)})
              .to(torch::kFloat64)};
}

LossStatistics I2ckdLoss::PerImage(const ClassSums& student, const ClassSums& teacher) const {
  const torch::Tensor present = (student.counts > 0) & (teacher.counts > 0);
  const torch::Tensor student_mean = MeanOf(student.sums, student.counts);
  const torch::Tensor teacher_mean = MeanOf(teacher.sums, teacher.counts);
  torch::Tensor total = student.sums.sum() * 0;
  double images = 0, intra = 0, inter = 0;
  for (int64_t i = 0; i < present.size(0); ++i) {
    total =
        total + PrototypeTriplet(student_mean[i], teacher_mean[i], present[i], options_.triplet);
    if (present[i].sum().item<int64_t>() < 2) continue;
    const torch::NoGradGuard no_grad;
    const PrototypeGaps gaps =
        PrototypeGapsOf(student_mean[i], teacher_mean[i], present[i], options_.triplet);
    images += 1, intra += gaps.intra.item<double>(), inter += gaps.inter.item<double>();
  }
  return {total.reshape({1}), torch::tensor({images, intra, inter}, torch::kFloat64)};
}

I2ckdLoss::Prototypes I2ckdLoss::PrototypesOf(const LossStatistics& global) const {
  const int64_t classes = options_.num_classes;
  const std::vector<torch::Tensor> sums = global.sums.view({2, classes, -1}).unbind(0);
  const std::vector<torch::Tensor> counts =
      global.counts.to(global.sums.device()).view({2, classes}).unbind(0);
  return {MeanOf(sums[0], counts[0]), MeanOf(sums[1], counts[1]),
          (counts[0] > 0) & (counts[1] > 0)};
}

torch::Tensor I2ckdLoss::Finish(const LossStatistics& global) {
  if (additive()) return FinishAdditive(global);
  const Prototypes prototypes = PrototypesOf(global);
  return PrototypeTriplet(prototypes.student, prototypes.teacher, prototypes.present,
                          options_.triplet);
}

std::map<std::string, double> I2ckdLoss::Parts(const LossStatistics& global) {
  if (additive()) {
    const double images = std::max(global.counts[0].item<double>(), 1.0);
    return {{"intra", global.counts[1].item<double>() / images},
            {"inter", global.counts[2].item<double>() / images}};
  }
  const Prototypes prototypes = PrototypesOf(global);
  const PrototypeGaps gaps =
      PrototypeGapsOf(prototypes.student, prototypes.teacher, prototypes.present, options_.triplet);
  return {{"intra", gaps.intra.item<double>()}, {"inter", gaps.inter.item<double>()}};
}

}  // namespace reflux
