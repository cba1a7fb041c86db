// Class prototypes (masked average pooling) and the triplet loss on them.
#pragma once

#include <torch/types.h>

#include <string>

namespace reflux {

enum class PrototypeDistance { kL2, kSquared, kCosine };
enum class PrototypeNegatives { kAll, kHardest };
enum class PrototypeAnchor { kStudent, kTeacher };

struct TripletOptions {
  double margin = 1;
  PrototypeDistance distance = PrototypeDistance::kL2;
  PrototypeNegatives negatives = PrototypeNegatives::kAll;
  PrototypeAnchor anchor = PrototypeAnchor::kStudent;
};

// [N,H,W] -> [N,h,w] by nearest: source row floor(i H / h).
torch::Tensor DownsampleLabels(const torch::Tensor& labels, int64_t height, int64_t width);

struct ClassSums {
  torch::Tensor sums;    // [N,K,C], differentiable
  torch::Tensor counts;  // [N,K], float64: pixels of the class in the image
};
// Per image and class: the sum of the features of the class's pixels. `features` [N,C,h,w],
// `labels` [N,h,w]; values outside 0..K-1 and `ignore_index` count for no class.
ClassSums SumByClass(const torch::Tensor& features, const torch::Tensor& labels,
                     int64_t num_classes, int64_t ignore_index);

// Mean distances between prototypes of present classes: of a class on both sides, and of different
// classes (0 without two). Scalars.
struct PrototypeGaps {
  torch::Tensor intra, inter;
};
PrototypeGaps PrototypeGapsOf(const torch::Tensor& student, const torch::Tensor& teacher,
                              const torch::Tensor& present, const TripletOptions& options);

// Over the classes with present[c] (bool [K]): mean over ordered pairs c != c' of
// max(0, d(a_c, p_c) - d(a_c, p_c') + margin), anchors a and the others p as `options.anchor` says;
// with hardest negatives the mean over c with the nearest c' only. `student`, `teacher` [K,C].
// Fewer than two present classes give 0, connected to both.
torch::Tensor PrototypeTriplet(const torch::Tensor& student, const torch::Tensor& teacher,
                               const torch::Tensor& present, const TripletOptions& options);

}  // namespace reflux
