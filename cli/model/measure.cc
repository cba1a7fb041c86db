#include "cli/model/measure.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/data/view.h"

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

// A line every few seconds, for people who wait.
std::function<void(int64_t)> Progress(const std::string& title, int64_t total) {
  return [title, total, last = absl::Now()](int64_t done) mutable {
    if (absl::Now() - last < absl::Seconds(5)) return;
    last = absl::Now();
    spdlog::info("{}: {} of {} images", title, done, total);
  };
}

cv::Mat ToMask(const torch::Tensor& classes) {
  const torch::Tensor bytes = classes.to(torch::kUInt8).contiguous();
  return cv::Mat(static_cast<int>(bytes.size(0)), static_cast<int>(bytes.size(1)), CV_8U,
                 bytes.data_ptr<uint8_t>())
      .clone();
}

absl::StatusOr<cv::Mat> PredictMask(const ModelCheckpoint& checkpoint, const Dataset& dataset,
                                    const EvaluationOptions& options, int64_t index) {
  REFLUX_ASSIGN_OR_RETURN(const std::string bytes, dataset.ReadImage(index));
  REFLUX_ASSIGN_OR_RETURN(const cv::Mat image, DecodeImage(bytes));
  const View view = WholeView(options.height > 0 ? options.height : image.rows,
                              options.width > 0 ? options.width : image.cols);
  torch::Tensor input = torch::empty({1, 3, view.crop_height, view.crop_width});
  ApplyView(image, view, checkpoint.info.preprocessing, input.data_ptr<float>());
  REFLUX_ASSIGN_OR_RETURN(const torch::Tensor logits, Predictor (*checkpoint.model)(input));
  return ToMask(PredictedClasses(logits, view.crop_height, view.crop_width,
                                 checkpoint.model->align_corners())[0]);
}

}  // namespace

absl::StatusOr<Measurement> Measure(const std::string& path, const Dataset& dataset,
                                    const EvaluationOptions& options,
                                    const std::vector<int64_t>& shown) {
  REFLUX_ASSIGN_OR_RETURN(const ModelCheckpoint checkpoint, LoadModelCheckpoint(path));
  const auto matrix =
      Evaluate(dataset, checkpoint.info.preprocessing, checkpoint.info.options.num_classes, options,
               Predictor(*checkpoint.model), nullptr,
               Progress(path, static_cast<int64_t>(dataset.samples().size())));
  if (!matrix.ok()) {
    return absl::Status(matrix.status().code(),
                        absl::StrCat(path, ": ", matrix.status().message()));
  }
  Measurement measurement{.path = path,
                          .architecture = checkpoint.info.options.architecture,
                          .miou = matrix->MeanIou(),
                          .pixel_accuracy = matrix->PixelAccuracy(),
                          .class_iou = matrix->ClassIou()};
  for (const int64_t index : shown) {
    REFLUX_ASSIGN_OR_RETURN(cv::Mat mask, PredictMask(checkpoint, dataset, options, index));
    measurement.masks.push_back(std::move(mask));
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
