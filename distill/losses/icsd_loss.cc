#include "distill/losses/icsd_loss.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/choose.h"
#include "distill/losses/cross_entropy_loss.h"

namespace reflux {
namespace {

// sum_n P_i (ln P_i - ln P_j), [B,C,C]. With q = ln(P h w), the log-probability relative to a flat
// map, in place of ln P: the sum is the same, and what is nearly flat (a high temperature) is not
// lost to cancellation in single precision.
torch::Tensor PairwiseKl(const torch::Tensor& logits, double temperature) {
  const torch::Tensor maps = logits.flatten(2) / temperature;
  const torch::Tensor centred = maps - maps.mean(2, /*keepdim=*/true);
  const torch::Tensor peak = centred.detach().amax(2, /*keepdim=*/true);
  const torch::Tensor q = centred - (peak + (centred - peak).exp().mean(2, /*keepdim=*/true).log());
  const torch::Tensor products =
      (q.exp() / static_cast<double>(maps.size(2))).bmm(q.transpose(1, 2));
  return products.diagonal(0, 1, 2).unsqueeze(2) - products;
}

// M_ij = M_ji = sum over h, w of p_j (ln p_j - p_i) for i <= j, p = softmax over the rows of a
// column.
torch::Tensor PublishedMatrix(const torch::Tensor& logits, double temperature) {
  const torch::Tensor log_p = torch::log_softmax(logits / temperature, 2).flatten(2);
  const torch::Tensor p = log_p.exp();
  const torch::Tensor upper = ((p * log_p).sum(2).unsqueeze(1) - p.bmm(p.transpose(1, 2))).triu();
  return upper + upper.triu(1).transpose(1, 2);
}

}  // namespace

absl::Status IcsdOptions::Validate() const {
  if (temperature > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("losses.icsd.temperature: ", temperature, " is not positive"));
}

absl::StatusOr<IcsdOptions::Form> ParseIcsdForm(absl::string_view name) {
  using Form = IcsdOptions::Form;
  return Choose<Form>("losses.icsd.form", name,
                      {{"full", Form::kFull},
                       {"mirror", Form::kMirror},
                       {"per_image", Form::kPerImage},
                       {"full_raw", Form::kFullRaw},
                       {"code", Form::kCode},
                       {"gram", Form::kGram}});
}

torch::Tensor SimilarityMatrices(const torch::Tensor& logits, const IcsdOptions& options) {
  if (options.form == IcsdOptions::Form::kCode) return PublishedMatrix(logits, options.temperature);
  if (options.form == IcsdOptions::Form::kGram) {
    const torch::Tensor maps = logits.flatten(2);
    return maps.bmm(maps.transpose(1, 2));
  }
  const torch::Tensor kl = PairwiseKl(logits, options.temperature);
  if (options.form != IcsdOptions::Form::kMirror) return kl;
  const torch::Tensor upper = kl.transpose(1, 2).triu(1);
  return upper + upper.transpose(1, 2);
}

LossStatistics IcsdLoss::Local(const LossInputs& inputs) {
  const torch::Tensor& teacher_logits = RequireMap(inputs.teacher, "logits", "teacher");
  const torch::Tensor student = SimilarityMatrices(
      ResizeLike(RequireMap(inputs.student, "logits", "student"), teacher_logits), options_);
  const torch::Tensor teacher = SimilarityMatrices(teacher_logits.detach(), options_);
  const torch::Tensor images = CountOf(student.size(0));
  const bool gram = options_.form == IcsdOptions::Form::kGram;
  if (gram || options_.form == IcsdOptions::Form::kPerImage) {
    const torch::Tensor difference = UnitVectors(student, -1) - UnitVectors(teacher, -1);
    const double divisor =
        static_cast<double>(gram ? student.size(1) : student.size(1) * student.size(2));
    return {(difference.square().sum() / divisor).reshape({1}), images};
  }
  return {torch::cat({student.sum(0).flatten(), teacher.sum(0).flatten()}), images};
}

torch::Tensor IcsdLoss::Finish(const LossStatistics& global) {
  const torch::Tensor images = global.counts[0].clamp_min(1).to(global.sums.dtype());
  if (options_.form == IcsdOptions::Form::kGram) return global.sums[0] / images;
  if (options_.form == IcsdOptions::Form::kPerImage) return global.sums[0] / (images * images);
  const int64_t classes = std::llround(std::sqrt(static_cast<double>(global.sums.numel() / 2)));
  torch::Tensor matrices = global.sums.view({2, classes, classes}) / images;
  if (options_.form != IcsdOptions::Form::kFullRaw) matrices = UnitVectors(matrices, -1);
  return (matrices[0] - matrices[1]).square().sum() /
         (images * static_cast<double>(classes * classes));
}

}  // namespace reflux
