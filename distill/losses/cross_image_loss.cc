#include "distill/losses/cross_image_loss.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "distill/losses/cross_entropy_loss.h"

namespace reflux {
namespace {

using torch::Tensor;

// The share at its place among the images of all ranks, which are zero: a sum over the ranks then
// gathers them. Flat.
Tensor AtItsPlace(const Tensor& share, const LossInputs& inputs) {
  const auto first = static_cast<int64_t>(inputs.first_position);
  const int64_t images = GlobalBatch(inputs, share.size(0));
  const int64_t after = images - first - share.size(0);
  TORCH_CHECK_VALUE(after >= 0, "a share of ", share.size(0), " images at position ", first,
                    " does not fit a batch of ", images);
  return torch::constant_pad_nd(share, {0, 0, 0, 0, first, after}).flatten();
}

// The log-probabilities of image `i` against all images, [p,B,p].
Tensor LogRelations(const Tensor& features, int64_t i, double temperature) {
  const int64_t positions = features.size(2);
  const Tensor all = features.transpose(0, 1).flatten(1);  // [C,B p]
  const Tensor cosines = features[i].t().matmul(all).view({positions, -1, positions});
  return torch::log_softmax(cosines / temperature, 2);
}

}  // namespace

absl::Status CrossImageOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(tap.Validate("cirkd"));
  if (!(temperature > 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("losses.cirkd.temperature: ", temperature, " is not positive"));
  }
  if (pool >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("losses.cirkd.pool: ", pool, " is below 1"));
}

Tensor CrossImageLoss::UnitFeatures(const Tensor& map) const {
  const int64_t pool = options_.pool;
  const Tensor pooled =
      pool == 1 ? map
                : torch::avg_pool2d(map, {pool, pool}, {pool, pool}, {0, 0}, /*ceil_mode=*/true);
  return UnitVectors(pooled.flatten(2), 1);
}

LossStatistics CrossImageLoss::Local(const LossInputs& inputs) {
  const std::string& tap = options_.tap.tap;
  const Tensor teacher = RequireMap(inputs.teacher, tap, "teacher").detach();
  const Tensor student = ResizeLike(RequireMap(inputs.student, tap, "student"), teacher);
  return {torch::cat({AtItsPlace(UnitFeatures(student), inputs),
                      AtItsPlace(UnitFeatures(teacher), inputs)}),
          CountOf(student.size(0))};
}

Tensor CrossImageLoss::Finish(const LossStatistics& global) {
  const auto images = static_cast<int64_t>(global.counts[0].item<double>());
  if (images == 0) return global.sums.sum();
  const int64_t width = options_.tap.student_channels, both = width + options_.tap.teacher_channels;
  const int64_t positions = global.sums.numel() / (images * both);
  const Tensor student =
      global.sums.narrow(0, 0, images * width * positions).view({images, width, positions});
  const Tensor teacher = global.sums.detach()
                             .narrow(0, student.numel(), global.sums.numel() - student.numel())
                             .view({images, both - width, positions});
  Tensor total = global.sums.sum() * 0;
  for (int64_t i = 0; i < images; ++i) {
    const Tensor of_teacher = LogRelations(teacher, i, options_.temperature);
    const Tensor of_student = LogRelations(student, i, options_.temperature);
    total = total + (of_teacher.exp() * (of_teacher - of_student)).sum();
  }
  return total / static_cast<double>(images * images * positions);
}

}  // namespace reflux
