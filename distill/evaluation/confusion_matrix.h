// Segmentation metrics from counts in int64. Not thread-safe.
#pragma once

#include <torch/types.h>

#include <vector>

namespace reflux {

class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int64_t num_classes);

  // Counts the pixels of `labels` != ignore_index. `predictions` and `labels` are int64 of equal
  // shape. Throws c10::Error for a counted label or prediction outside 0..num_classes-1.
  void Add(const torch::Tensor& predictions, const torch::Tensor& labels, int64_t ignore_index);
  // Throws c10::Error for another number of classes.
  void Merge(const ConfusionMatrix& other);

  // Counts, of images labelled as a whole, those whose label is among the five highest `logits`
  // [N,C,1,1] (of equal ones the first), C >= 5; `labels` [N,1,1].
  void AddTopFive(const torch::Tensor& logits, const torch::Tensor& labels, int64_t ignore_index);

  // [C,C] int64, row = label, column = prediction. Writable, so that ranks can sum it.
  torch::Tensor& counts() { return counts_; }
  const torch::Tensor& counts() const { return counts_; }

  // [2] int64: right, counted. Writable.
  torch::Tensor& top_five_counts() { return top_five_counts_; }

  // Intersection over union of each class; NaN for a class in neither labels nor predictions.
  std::vector<double> ClassIou() const;
  // Mean over the classes that occur. 0 when none does.
  double MeanIou() const;
  // As CIRKD's score.py publishes it: absent classes count as 0.
  double MeanIouPublished() const;
  // Right pixels over counted pixels. 0 when none was counted.
  double PixelAccuracy() const;
  double TopFiveAccuracy() const;  // likewise

 private:
  torch::Tensor counts_, top_five_counts_;
};

}  // namespace reflux
