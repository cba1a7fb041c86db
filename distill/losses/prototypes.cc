#include "distill/losses/prototypes.h"

#include <algorithm>
#include <limits>

namespace reflux {
namespace {

// A vector of zero stays zero, with gradient zero: dividing by a tiny norm would blow it up.
torch::Tensor UnitRows(const torch::Tensor& rows) {
  constexpr double kSmallest = 1e-12;
  const torch::Tensor norm = rows.norm(2, -1, /*keepdim=*/true);
  return rows / norm.clamp_min(kSmallest) * (norm > kSmallest);
}

// [M,C] x [M,C] -> [M,M], without an M x M x C intermediate.
torch::Tensor Distances(const torch::Tensor& from, const torch::Tensor& to,
                        PrototypeDistance distance) {
  if (distance == PrototypeDistance::kCosine) return 1 - UnitRows(from).matmul(UnitRows(to).t());
  // Not by the matrix-product formula, which cancels for near prototypes. The Euclidean distance
  // has an infinite gradient at 0; cdist gives 0 there.
  constexpr int64_t kNoMatrixProduct = 2;
  const torch::Tensor euclidean = torch::cdist(from, to, 2, kNoMatrixProduct);
  return distance == PrototypeDistance::kSquared ? euclidean.square() : euclidean;
}

// Anchors in rows, the other side in columns; the present classes alone.
torch::Tensor DistancesOfPresent(const torch::Tensor& student, const torch::Tensor& teacher,
                                 const torch::Tensor& present, const TripletOptions& options) {
  const torch::Tensor classes = present.nonzero().flatten();
  const bool student_anchors = options.anchor == PrototypeAnchor::kStudent;
  const torch::Tensor anchors = (student_anchors ? student : teacher).index_select(0, classes);
  const torch::Tensor others = (student_anchors ? teacher : student).index_select(0, classes);
  return Distances(anchors, others, options.distance);
}

}  // namespace

torch::Tensor DownsampleLabels(const torch::Tensor& labels, int64_t height, int64_t width) {
  const auto options = torch::TensorOptions().dtype(torch::kInt64).device(labels.device());
  const auto source = [&](int64_t count, int64_t size) {
    return torch::arange(count, options).mul(size).div(count, "floor");
  };
  return labels.index_select(1, source(height, labels.size(1)))
      .index_select(2, source(width, labels.size(2)));
}

ClassSums SumByClass(const torch::Tensor& features, const torch::Tensor& labels,
                     int64_t num_classes, int64_t ignore_index) {
  const torch::Tensor flat = labels.flatten(1);
  const torch::Tensor classes = torch::arange(
      num_classes, torch::TensorOptions().dtype(torch::kInt64).device(labels.device()));
  const torch::Tensor mask =
      flat.unsqueeze(1).eq(classes.view({1, -1, 1})) & flat.ne(ignore_index).unsqueeze(1);
  const torch::Tensor positions = features.flatten(2).transpose(1, 2);  // [N,hw,C]
  return {mask.to(features.dtype()).bmm(positions), mask.sum(2).to(torch::kFloat64)};
}

PrototypeGaps PrototypeGapsOf(const torch::Tensor& student, const torch::Tensor& teacher,
                              const torch::Tensor& present, const TripletOptions& options) {
  const torch::Tensor distances = DistancesOfPresent(student, teacher, present, options);
  const int64_t count = distances.size(0);
  const torch::Tensor positive = distances.diagonal().sum();
  return {positive / static_cast<double>(std::max<int64_t>(count, 1)),
          (distances.sum() - positive) /
              static_cast<double>(std::max<int64_t>(count * (count - 1), 1))};
}

torch::Tensor PrototypeTriplet(const torch::Tensor& student, const torch::Tensor& teacher,
                               const torch::Tensor& present, const TripletOptions& options) {
  const torch::Tensor distances = DistancesOfPresent(student, teacher, present, options);
  const int64_t count = distances.size(0);
  if (count < 2) return (student.sum() + teacher.sum()) * 0;
  const torch::Tensor positive = distances.diagonal();
  const torch::Tensor diagonal =
      torch::eye(count, torch::TensorOptions().dtype(torch::kBool).device(distances.device()));
  if (options.negatives == PrototypeNegatives::kHardest) {
    const torch::Tensor nearest = std::get<0>(
        distances.masked_fill(diagonal, std::numeric_limits<double>::infinity()).min(1));
    return torch::relu(positive - nearest + options.margin).mean();
  }
  const torch::Tensor hinge = torch::relu(positive.unsqueeze(1) - distances + options.margin);
  return hinge.masked_fill(diagonal, 0).sum() / static_cast<double>(count * (count - 1));
}

}  // namespace reflux
