// Predictions as files: pictures for people, and what the evaluation servers take. Torch-free,
// thread-safe.
#pragma once

#include <opencv2/core/mat.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "distill/data/dataset.h"

namespace reflux {

enum class PredictionForm {
  kClasses,     // 8-bit class indices
  kColours,     // the data set's colours
  kOverlay,     // these over the image
  kCityscapes,  // label ids, as the Cityscapes server takes them
  kVoc,         // indices in a palette PNG, as the VOC server takes them
};

// classes, colours, overlay, cityscapes or voc.
absl::StatusOr<PredictionForm> ParsePredictionForm(const std::string& name);

// InvalidArgument when the data set has not the classes of the server's.
absl::Status CheckPredictionForm(PredictionForm form, const Dataset& dataset);

// Writes the prediction for sample `index` below `folder` at the sample's path, but as PNG: 8-bit
// `classes` of any size, resized to the image's own by nearest neighbour.
absl::Status WritePrediction(const std::string& folder, PredictionForm form, const Dataset& dataset,
                             size_t index, const cv::Mat& classes);

}  // namespace reflux
