#include "distill/evaluation/evaluate.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "distill/data/view.h"
#include "distill/tensors/resize.h"

namespace reflux {
namespace {

struct Example {
  int64_t index = 0;
  torch::Tensor image;  // [3,H,W]
  torch::Tensor label;  // [H,W]
};

absl::StatusOr<Example> LoadExample(const Dataset& dataset, size_t index,
                                    const Preprocessing& preprocessing,
                                    const EvaluationOptions& options) {
  REFLUX_ASSIGN_OR_RETURN(const LabelledImage sample, ReadLabelledImage(dataset, index));
  const View view = WholeView(options.height > 0 ? options.height : sample.image.rows,
                              options.width > 0 ? options.width : sample.image.cols);
  Example example{
      static_cast<int64_t>(index), torch::empty({3, view.crop_height, view.crop_width}),
      torch::empty(LabelSize(dataset, view.crop_height, view.crop_width), torch::kInt64)};
  ApplyView(sample.image, view, preprocessing, example.image.data_ptr<float>());
  WriteLabel(dataset, sample.label, view, example.label.data_ptr<int64_t>());
  return example;
}

absl::Status AddBatch(const std::vector<Example>& batch, const Dataset& dataset,
                      const EvaluationOptions& options, const PredictFn& predict,
                      ConfusionMatrix& matrix) {
  std::vector<torch::Tensor> images, labels;
  for (const Example& example : batch) {
    images.push_back(example.image);
    labels.push_back(example.label);
  }
  const torch::Tensor label = torch::stack(labels);
  REFLUX_ASSIGN_OR_RETURN(const torch::Tensor logits, predict(torch::stack(images)));
  const torch::Tensor classes =
      PredictedClasses(logits, label.size(1), label.size(2), options.align_corners);
  matrix.Add(classes, label, dataset.ignore_index());
  if (HasTopFive(dataset)) {
    matrix.AddTopFive(logits.to(torch::kCPU, torch::kFloat32), label, dataset.ignore_index());
  }
  if (!options.on_prediction) return absl::OkStatus();
  for (size_t i = 0; i < batch.size(); ++i) {
    REFLUX_RETURN_IF_ERROR(options.on_prediction(batch[i].index, classes[static_cast<int64_t>(i)]));
  }
  return absl::OkStatus();
}

}  // namespace

bool HasTopFive(const Dataset& dataset) {
  return dataset.task() == Task::kClassification && dataset.class_names().size() > 5;
}

torch::Tensor PredictedClasses(const torch::Tensor& logits, int64_t height, int64_t width,
                               bool align_corners) {
  const torch::NoGradGuard no_gradients;
  return ResizeBilinear(logits.to(torch::kCPU, torch::kFloat32), height, width, align_corners)
      .argmax(1);
}

absl::StatusOr<ConfusionMatrix> Evaluate(const Dataset& dataset, const Preprocessing& preprocessing,
                                         int64_t num_classes, const EvaluationOptions& options,
                                         const PredictFn& predict, const Cancellation* cancellation,
                                         const std::function<void(int64_t)>& progress) {
  if (num_classes != static_cast<int64_t>(dataset.class_names().size())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the network has ", num_classes, " classes, the data set ", dataset.class_names().size()));
  }
  ConfusionMatrix matrix(num_classes);
  const auto all = static_cast<int64_t>(dataset.samples().size());
  const int64_t end = options.end < 0 ? all : std::min(options.end, all);
  std::vector<Example> batch;
  const auto flush = [&] { return AddBatch(batch, dataset, options, predict, matrix); };
  for (int64_t i = options.begin; i < end; ++i) {
    if (cancellation != nullptr && cancellation->cancelled())
      return absl::CancelledError("evaluation stopped");
    REFLUX_ASSIGN_OR_RETURN(Example example, LoadExample(dataset, i, preprocessing, options));
    const bool same = batch.empty() || batch.front().image.sizes() == example.image.sizes();
    if (!same || static_cast<int64_t>(batch.size()) == options.batch) {
      REFLUX_RETURN_IF_ERROR(flush());
      batch.clear();
    }
    batch.push_back(std::move(example));
    if (progress) progress(i + 1 - options.begin);
  }
  if (!batch.empty()) REFLUX_RETURN_IF_ERROR(flush());
  return matrix;
}

}  // namespace reflux
