// Measures checkpoints on a data set, and keeps what they predict for a few images. Not
// thread-safe.
#pragma once

#include <functional>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/model/network_file.h"
#include "distill/data/dataset.h"
#include "distill/evaluation/evaluate.h"
#include "distill/evaluation/inference.h"

namespace reflux {

// Fractions, 0..1; NaN where there was no label.
struct Measurement {
  std::string path, title, architecture;
  double miou = 0, miou_published = 0, pixel_accuracy = 0;
  bool classification = false;  // pixel accuracy is then top-1 accuracy, the other two say nothing
  double top_five = 0;          // NaN with fewer than six classes
  double agreement = 1;         // pixels where it says what the first checkpoint says
  std::vector<double> class_iou;  // NaN: the class occurs nowhere
};

// Receives every image's index and 8-bit predicted classes, in order, at the size of evaluation.
using MaskFn = std::function<absl::Status(int64_t, const cv::Mat&)>;

// Loads the network and evaluates it in float32 on the CPU. Leaves title and agreement alone.
// Errors name the file: those of LoadNetwork, Evaluate and `on_mask`; Internal for what LibTorch
// throws.
absl::StatusOr<Measurement> Measure(const std::string& path, const NetworkFlags& flags,
                                    const Dataset& dataset, const EvaluationOptions& options,
                                    const InferenceOptions& inference, const MaskFn& on_mask);

// At most `count` indices spread evenly over 0..total-1.
std::vector<int64_t> SpreadIndices(int64_t total, int64_t count);

// Tables for people (one column a checkpoint, per cent) and for programs (JSON, per cent).
std::string FormatTable(const std::vector<Measurement>& measurements,
                        const std::vector<std::string>& classes);
std::string FormatJson(const std::vector<Measurement>& measurements,
                       const std::vector<std::string>& classes, const DatasetOptions& data,
                       int64_t images);

}  // namespace reflux
