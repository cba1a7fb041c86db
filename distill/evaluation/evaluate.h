// Metrics of a network over a split.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "distill/data/dataset.h"
#include "distill/evaluation/confusion_matrix.h"

namespace reflux {

struct EvaluationOptions {
  // Size at which images are evaluated (whole image, labels by nearest); 0: their own.
  int32_t height = 0, width = 0;
  bool align_corners = true;    // the network's (SegmentationModel::align_corners)
  int64_t batch = 2;            // images of equal size in one forward
  int64_t begin = 0, end = -1;  // samples [begin, end); -1: all
  // Receives, in order, each sample's index and predicted classes [H,W], int64, at the size of
  // evaluation; its error ends the evaluation. May be null.
  std::function<absl::Status(int64_t, const torch::Tensor&)> on_prediction;
};

// Logits [N,C,h,w] of preprocessed images [N,3,H,W].
using PredictFn = std::function<absl::StatusOr<torch::Tensor>(const torch::Tensor&)>;

// Logits are resized bilinearly to the image's size and compared by arg-max. In classification they
// have one position: pixel accuracy is then top-1 accuracy, and top-5 accuracy is counted too.
// `num_classes` is the network's: InvalidArgument when the data set has another number. Cancelled
// when `cancellation` (may be null) fires. `progress(done)` may be null.
absl::StatusOr<ConfusionMatrix> Evaluate(const Dataset& dataset, const Preprocessing& preprocessing,
                                         int64_t num_classes, const EvaluationOptions& options,
                                         const PredictFn& predict, const Cancellation* cancellation,
                                         const std::function<void(int64_t)>& progress = nullptr);

// Whether top-5 accuracy says something: in classification with more than five classes.
bool HasTopFive(const Dataset& dataset);

// Class indices [N,H,W] of `logits`, resized to height x width.
torch::Tensor PredictedClasses(const torch::Tensor& logits, int64_t height, int64_t width,
                               bool align_corners);

}  // namespace reflux
