// Measures checkpoints on a data set, and keeps what they predict for a few images. Not
// thread-safe.
#pragma once

#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/data/dataset.h"
#include "distill/evaluation/evaluate.h"

namespace reflux {

// Fractions, 0..1.
struct Measurement {
  std::string path, title, architecture;
  double miou = 0, pixel_accuracy = 0;
  std::vector<double> class_iou;  // NaN: the class occurs nowhere
  std::vector<cv::Mat> masks;     // 8-bit class indices of the shown images, in their size
};

// Loads the checkpoint and evaluates it in float32 on the CPU. `shown`: indices of the images whose
// predictions are kept. Errors name the file: those of LoadModelCheckpoint and Evaluate; Internal
// for what LibTorch throws.
absl::StatusOr<Measurement> Measure(const std::string& path, const Dataset& dataset,
                                    const EvaluationOptions& options,
                                    const std::vector<int64_t>& shown);

// At most `count` indices spread evenly over 0..total-1.
std::vector<int64_t> SpreadIndices(int64_t total, int64_t count);

// Tables for people (one column a checkpoint, per cent) and for programs (JSON, per cent).
std::string FormatTable(const std::vector<Measurement>& measurements,
                        const std::vector<std::string>& classes);
std::string FormatJson(const std::vector<Measurement>& measurements,
                       const std::vector<std::string>& classes, const DatasetOptions& data,
                       int64_t images);

}  // namespace reflux
