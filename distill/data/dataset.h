// Labelled images on disk. Torch-free. Thread-safe after opening.
#pragma once

#include <cstdint>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/targets/target.h"

namespace reflux {

struct DatasetOptions {
  std::string format = "camvid";
  std::string root;
  std::string split = "train";
  int64_t max_images = 0;  // only the first N; 0: all
};

struct SampleFiles {
  Locator image;           // dataset id and path relative to the root
  std::string label_path;  // relative to the root
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const std::vector<SampleFiles>& samples() const = 0;
  virtual const std::vector<std::string>& class_names() const = 0;
  virtual int ignore_index() const = 0;
  // Label of sample `index` as class indices, 8-bit single-channel, ignored pixels =
  // ignore_index(). InvalidArgument names file, value and pixel of a value out of range; DataLoss a
  // broken file.
  virtual absl::StatusOr<cv::Mat> ReadLabel(size_t index) const = 0;
  // Encoded image bytes.
  virtual absl::StatusOr<std::string> ReadImage(size_t index) const = 0;
  virtual const std::string& root() const = 0;
};

// Checks the structure only: folders, a label for each image, at least one sample. Errors say what
// layout is expected. Unimplemented ("not available in this version") for other known formats.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options);

// Reads every sample: sizes of image and label agree, values are in range, files are whole. Returns
// every problem found, one line each; empty when all is well.
std::vector<std::string> CheckDataset(const Dataset& dataset);

// The encoded image at `locator` under `root`. InvalidArgument for a path that leaves the root,
// NotFound, ResourceExhausted over 64 MiB.
absl::StatusOr<std::string> ReadImageFile(const std::string& root, const Locator& locator);

// Decodes JPEG or PNG to 8-bit BGR; an EXIF orientation is ignored, since the label has none.
// DataLoss for broken or truncated data (which OpenCV would fill with grey), ResourceExhausted over
// View::kMaxSide pixels a side, found before anything is decoded.
absl::StatusOr<cv::Mat> DecodeImage(const std::string& bytes);

// Decodes a label to its 8-bit class indices. Errors as above; InvalidArgument for other formats.
absl::StatusOr<cv::Mat> DecodeLabel(const std::string& bytes);

// Sample `index` with everything checked: image and label decode, their sizes agree, label values
// are in range; FailedPrecondition when the encoded image's digest is not the `expected` one (null:
// any). Errors name the file.
struct LabelledImage {
  std::string bytes;  // as encoded: what the sample digest is of
  cv::Mat image;      // 8-bit BGR
  cv::Mat label;      // 8-bit class indices
};
absl::StatusOr<LabelledImage> ReadLabelledImage(const Dataset& dataset, size_t index,
                                                const Digest* expected = nullptr);

}  // namespace reflux
