#include "distill/evaluation/confusion_matrix.h"

#include <cmath>
#include <limits>

namespace reflux {

ConfusionMatrix::ConfusionMatrix(int64_t num_classes)
    : counts_(torch::zeros({num_classes, num_classes}, torch::kInt64)),
      top_five_counts_(torch::zeros({2}, torch::kInt64)) {}

void ConfusionMatrix::AddTopFive(const torch::Tensor& logits, const torch::Tensor& labels,
                                 int64_t ignore_index) {
  const torch::Tensor label = labels.flatten(1), valid = label.ne(ignore_index);
  const torch::Tensor scores = logits.flatten(1);
  // A class is among the five when fewer than five are above it, or equal and before it.
  const torch::Tensor own = scores.gather(1, label.masked_fill(label.eq(ignore_index), 0));
  const torch::Tensor index = torch::arange(scores.size(1)).unsqueeze(0);
  const torch::Tensor above = scores.gt(own) | (scores.eq(own) & index.lt(label));
  const torch::Tensor right = above.sum(1, /*keepdim=*/true).lt(5) & valid;
  top_five_counts_ += torch::stack({right.sum(), valid.sum()});
}

double ConfusionMatrix::TopFiveAccuracy() const {
  const auto counted = top_five_counts_[1].item<int64_t>();
  return counted == 0 ? 0 : top_five_counts_[0].item<double>() / static_cast<double>(counted);
}

void ConfusionMatrix::Add(const torch::Tensor& predictions, const torch::Tensor& labels,
                          int64_t ignore_index) {
  const int64_t classes = counts_.size(0);
  const torch::Tensor valid = labels.ne(ignore_index);
  const torch::Tensor rows = labels.masked_select(valid),
                      columns = predictions.masked_select(valid);
  if (rows.numel() == 0) return;
  for (const torch::Tensor& values : {rows, columns}) {
    TORCH_CHECK_VALUE(values.min().item<int64_t>() >= 0 && values.max().item<int64_t>() < classes,
                      "a label or prediction lies outside 0..", classes - 1);
  }
  counts_ += torch::bincount(rows * classes + columns, {}, classes * classes)
                 .view({classes, classes})
                 .cpu();
}

void ConfusionMatrix::Merge(const ConfusionMatrix& other) {
  TORCH_CHECK_VALUE(counts_.sizes() == other.counts_.sizes(), "counts of ", counts_.size(0),
                    " and of ", other.counts_.size(0), " classes cannot be merged");
  counts_ += other.counts_;
}

std::vector<double> ConfusionMatrix::ClassIou() const {
  const torch::Tensor inter = counts_.diagonal();
  const torch::Tensor all = counts_.sum(0) + counts_.sum(1) - inter;
  std::vector<double> result;
  for (int64_t c = 0; c < counts_.size(0); ++c) {
    const int64_t of_class = all[c].item<int64_t>();
    result.push_back(of_class == 0 ? std::numeric_limits<double>::quiet_NaN()
                                   : static_cast<double>(inter[c].item<int64_t>()) /
                                         static_cast<double>(of_class));
  }
  return result;
}

double ConfusionMatrix::MeanIou() const {
  double sum = 0;
  int64_t present = 0;
  for (double iou : ClassIou()) {
    if (std::isnan(iou)) continue;
    sum += iou;
    ++present;
  }
  return present == 0 ? 0 : sum / static_cast<double>(present);
}

double ConfusionMatrix::MeanIouPublished() const {
  double sum = 0;
  for (double iou : ClassIou()) sum += std::isnan(iou) ? 0 : iou;
  return sum / static_cast<double>(counts_.size(0));
}

double ConfusionMatrix::PixelAccuracy() const {
  const auto all = static_cast<double>(counts_.sum().item<int64_t>());
  return all == 0 ? 0 : static_cast<double>(counts_.diagonal().sum().item<int64_t>()) / all;
}

}  // namespace reflux
