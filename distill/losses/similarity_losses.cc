#include "distill/losses/similarity_losses.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using torch::Tensor;

absl::Status CheckPool(absl::string_view loss, int64_t pool) {
  if (pool >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("losses.", loss, ".pool: ", pool, " is below 1"));
}

// Sum over images of the mean squared difference of two stacks of square matrices.
Tensor SumOfMeanSquares(const Tensor& student, const Tensor& teacher) {
  return SquaredDistance(student, teacher) / static_cast<double>(student.size(1) * student.size(2));
}

}  // namespace

absl::Status PairwiseOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(tap.Validate("skd"));
  REFLUX_RETURN_IF_ERROR(CheckPool("skd", pool));
  if (pool_fraction >= 0 && pool_fraction <= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("losses.skd.pool_fraction: ", pool_fraction, " is not in [0, 1]"));
}

Tensor PairwiseLoss::PooledVectors(const Tensor& map) const {
  const auto window = [&](int64_t length) {
    if (pairwise_.pool_fraction == 0) return pairwise_.pool;
    return std::max<int64_t>(
        1, static_cast<int64_t>(static_cast<double>(length) * pairwise_.pool_fraction));
  };
  const int64_t height = window(map.size(2)), width = window(map.size(3));
  const Tensor vectors = torch::max_pool2d(map, {height, width}, {height, width}, {0, 0}, {1, 1},
                                           /*ceil_mode=*/true)
                             .flatten(2);
  if (!pairwise_.constant_norm) return UnitVectors(vectors, 1);
  return vectors / (vectors.detach().norm(2, 1, /*keepdim=*/true) + 1e-8);
}

Tensor PairwiseLoss::SumOverImages(const Tensor& student, const Tensor& teacher,
                                   const LossInputs&) {
  const auto similarity = [&](const Tensor& map) {
    const Tensor unit = PooledVectors(map);
    return unit.transpose(1, 2).bmm(unit);
  };
  return SumOfMeanSquares(similarity(student), similarity(teacher));
}

absl::Status CategorySimilarityOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(tap.Validate("csd"));
  REFLUX_RETURN_IF_ERROR(CheckPool("csd", pool));
  if (temperature > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("losses.csd.temperature: ", temperature, " is not positive"));
}

Tensor CategorySimilarityLoss::SumOverImages(const Tensor& student, const Tensor& teacher,
                                             const LossInputs&) {
  const auto similarity = [&](const Tensor& map) {
    const Tensor pooled =
        torch::avg_pool2d(map, {pool_, pool_}, {pool_, pool_}, {0, 0}, /*ceil_mode=*/true);
    const Tensor p = torch::softmax(pooled.flatten(2) / temperature_, 2);
    return p.bmm(p.transpose(1, 2));
  };
  return SumOfMeanSquares(similarity(student), similarity(teacher));
}

}  // namespace reflux
