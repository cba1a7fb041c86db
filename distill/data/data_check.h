// What is in a data set, and everything that is wrong with it. Torch-free.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "distill/data/dataset.h"

namespace reflux {

struct DataReport {
  Task task = Task::kSegmentation;
  std::vector<std::string> problems;  // one line each
  int64_t images = 0;                 // that were read without a problem
  int64_t unlabelled = 0;             // of these
  // By class index; pixels are labels, so one an image in classification.
  std::vector<int64_t> class_pixels, class_images;
  int64_t ignored_pixels = 0;                    // in images with a label
  std::map<std::pair<int, int>, int64_t> sizes;  // {height, width} -> images
};

// Reads every sample: sizes of image and label agree, values are in range, files are whole. Goes on
// after a problem. `progress(done)` may be null.
DataReport CheckDataset(const Dataset& dataset,
                        const std::function<void(int64_t)>& progress = nullptr);

// `count` sound samples spread over the set: each image beside itself with its label laid over, and
// a legend. DataLoss when no sample can be shown, FailedPrecondition when labels have no pixels.
absl::StatusOr<cv::Mat> OverlayPicture(const Dataset& dataset, int64_t count);

}  // namespace reflux
