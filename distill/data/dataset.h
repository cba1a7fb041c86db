// Labelled images on disk. Torch-free. Thread-safe after opening.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/targets/target.h"

namespace reflux {

// What a label says: a class of each pixel, or one of the whole image.
enum class Task { kSegmentation, kClassification };

inline constexpr int kCamVidIgnore = 11;
// Cityscapes' label id of each trainId.
const std::vector<int>& CityscapesLabelIds();

struct DatasetOptions {
  std::string format = "camvid";
  std::string root;
  std::string split = "train";
  int64_t max_images = 0;  // only the first N; 0: all
  // Look for no labels: every sample is without (to predict on images that have none).
  bool without_labels = false;

  // Of format `folders` alone. Images and labels stand in for the root, which otherwise means
  // ROOT/images and ROOT/labels. Paths are absolute or relative to the working directory.
  std::string images, labels;
  std::vector<std::string> classes;
  int ignore = 255;                           // label value
  std::map<int, int> label_map;               // label value -> class index or `ignore`; empty: same
  std::map<std::string, std::string> splits;  // split -> list of images
  std::string unlabelled;                     // folder; its images are added
  bool with_unlabelled = false;               // ... when this says so
};

struct SampleFiles {
  Locator image;           // dataset id and path relative to the root
  std::string label_path;  // relative to the root; empty: the sample has no label
  int values = 0;          // which of the layout's meanings the label's values have
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual Task task() const { return Task::kSegmentation; }
  virtual const std::string& format() const = 0;
  virtual const std::vector<SampleFiles>& samples() const = 0;
  virtual const std::vector<std::string>& class_names() const = 0;
  // Colours (BGR) of the classes, as published.
  virtual const std::vector<cv::Vec3b>& palette() const = 0;
  virtual int ignore_index() const = 0;
  // Label of sample `index` as class indices, 8-bit single-channel, ignored pixels =
  // ignore_index(), 1x1 for classification; empty when it has none. InvalidArgument names file,
  // value and pixel of a value out of range; DataLoss a broken file.
  virtual absl::StatusOr<cv::Mat> ReadLabel(size_t index) const = 0;
  // The same label as its file holds it, and the meaning of its values: what a teacher that reads
  // labels is sent. Empty bytes when the sample has none. Unimplemented, and null, for a format
  // whose labels have no files.
  virtual absl::StatusOr<LabelFile> ReadLabelFile(size_t index) const;
  virtual std::shared_ptr<const LabelMap> LabelMapOf(size_t /*index*/) const { return nullptr; }
  // Encoded image bytes.
  virtual absl::StatusOr<std::string> ReadImage(size_t index) const = 0;
  // What paths of samples are relative to.
  virtual const std::string& root() const = 0;
  // The file, relative to the root, that sample `index` is in: what its digest was taken from.
  virtual std::string FileOf(size_t index) const { return samples()[index].image.path; }
};

// Checks the structure only: folders, a label for each image, at least one sample. Errors say what
// layout is expected. `problems` (may be null) receives a line for each image without label and
// each listed name without image; those are left out then, and are errors otherwise.
// InvalidArgument for an unknown format.
absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options,
                                                     std::vector<std::string>* problems = nullptr);

// The folder that paths of the samples are relative to, without opening anything; the empty text if
// the options say none.
std::string DataRoot(const DatasetOptions& options);

// The encoded image at `locator` under `root`; "FILE.bin#N" is record N of a CIFAR file (cifar.h).
// InvalidArgument for a path that leaves the root, NotFound, ResourceExhausted over 64 MiB.
absl::StatusOr<std::string> ReadImageFile(const std::string& root, const Locator& locator);

// Decodes JPEG, PNG or PPM (ppm.h) to 8-bit BGR; an EXIF orientation is ignored, since the label
// has none. DataLoss for broken or truncated data (which OpenCV would fill with grey),
// ResourceExhausted over View::kMaxSide pixels a side, found before anything is decoded. A JPEG at
// 1/shrink of its sides (View::decode_shrink), by its own transform: 1/shrink^2 of the work;
// `encoded` receives its size before that.
absl::StatusOr<cv::Mat> DecodeImage(const std::string& bytes, int shrink = 1,
                                    cv::Size* encoded = nullptr);

// Size of an encoded image, from its structure alone. Errors as above.
absl::StatusOr<cv::Size> ReadImageSize(const std::string& bytes);

// Decodes a label to the values that it holds, single-channel of 8 or 16 bits; of a palette PNG
// these are the indices. Errors as above; InvalidArgument for other formats.
absl::StatusOr<cv::Mat> DecodeLabel(const std::string& bytes);

// Sample `index` with everything checked: image and label decode, their sizes agree, label values
// are in range; FailedPrecondition when the encoded image's digest is not the `expected` one (null:
// any). Errors name the file.
struct LabelledImage {
  std::string bytes;  // as encoded: what the sample digest is of
  cv::Mat image;      // 8-bit BGR, decoded at 1/shrink
  cv::Size size;      // of the image as encoded
  cv::Mat label;      // 8-bit class indices (1x1: of the image); all ignored without a label
};
absl::StatusOr<LabelledImage> ReadLabelledImage(const Dataset& dataset, size_t index,
                                                const Digest* expected = nullptr, int shrink = 1);

// Height and width of the labels of views of height x width: 1 and 1 in classification.
std::array<int64_t, 2> LabelSize(const Dataset& dataset, int64_t height, int64_t width);
// `label` of a sample as `view` shows it, LabelSize class indices (ApplyViewToLabel; in
// classification the image's own).
void WriteLabel(const Dataset& dataset, const cv::Mat& label, const View& view, int64_t* out);

}  // namespace reflux
