#include "cli/model/measure.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/progress_bar.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/model_checkpoint.h"

namespace reflux {
namespace {

// The boundary where LibTorch's exceptions become a status.
template <typename F>
auto CatchTorch(const F& function) -> decltype(function()) {
  try {
    return function();
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  }
}

PredictFn Predictor(SegmentationModel& model) {
  return [&model](const torch::Tensor& images) {
    return CatchTorch([&]() -> absl::StatusOr<torch::Tensor> {
      const c10::InferenceMode no_gradients;
      return model.Forward(images, {"logits"}).at("logits");
    });
  };
}

// For people who wait: a bar on a terminal, a line every few seconds in a log.
ProgressBarOptions BarOptions(const std::string& path, int64_t total) {
  return {.label = std::filesystem::path(path).filename().string(),
          .unit = "images",
          .total = total,
          .terminal = IsTerminal(STDERR_FILENO),
          .line_interval = absl::Seconds(5)};
}

cv::Mat ToMask(const torch::Tensor& classes) {
  const torch::Tensor bytes = classes.to(torch::kUInt8).contiguous();
  return cv::Mat(static_cast<int>(bytes.size(0)), static_cast<int>(bytes.size(1)), CV_8U,
                 bytes.data_ptr<uint8_t>())
      .clone();
}

}  // namespace

absl::StatusOr<Measurement> Measure(const std::string& path, const NetworkFlags& flags,
                                    const Dataset& dataset, const EvaluationOptions& options,
                                    const InferenceOptions& inference, const MaskFn& on_mask) {
  REFLUX_ASSIGN_OR_RETURN(const ModelCheckpoint checkpoint, LoadNetwork(path, flags));
  EvaluationOptions evaluation = options;
  InferenceOptions applied = inference;
  evaluation.align_corners = applied.align_corners = checkpoint.model->align_corners();
  evaluation.on_prediction = [&on_mask](int64_t index, const torch::Tensor& classes) {
    return on_mask(index, ToMask(classes));
  };
  const auto matrix = CatchTorch([&] {
    LateBar progress(std::cerr, BarOptions(path, static_cast<int64_t>(dataset.samples().size())),
                     absl::Seconds(2));
    return Evaluate(dataset, checkpoint.info.preprocessing, checkpoint.info.options.num_classes,
                    evaluation, WithInference(Predictor(*checkpoint.model), applied), nullptr,
                    [&progress](int64_t done) { progress.Update(done); });
  });
  if (!matrix.ok()) {
    return absl::Status(matrix.status().code(),
                        absl::StrCat(path, ": ", matrix.status().message()));
  }
  Measurement measurement{.path = path,
                          .architecture = checkpoint.info.options.architecture,
                          .miou = matrix->MeanIou(),
                          .miou_published = matrix->MeanIouPublished(),
                          .pixel_accuracy = matrix->PixelAccuracy(),
                          .classification = dataset.task() == Task::kClassification,
                          .top_five = HasTopFive(dataset)
                                          ? matrix->TopFiveAccuracy()
                                          : std::numeric_limits<double>::quiet_NaN(),
                          .class_iou = matrix->ClassIou()};
  if (matrix->counts().sum().item<int64_t>() == 0) {
    for (double* mean : {&measurement.miou, &measurement.miou_published,
                         &measurement.pixel_accuracy, &measurement.top_five}) {
      *mean = std::numeric_limits<double>::quiet_NaN();
    }
  }
  return measurement;
}

std::vector<int64_t> SpreadIndices(int64_t total, int64_t count) {
  std::vector<int64_t> indices;
  const int64_t taken = std::min(total, count);
  for (int64_t i = 0; i < taken; ++i) indices.push_back(i * total / taken);
  return indices;
}

}  // namespace reflux
