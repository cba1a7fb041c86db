#include "distill/data/data_check.h"

#include <algorithm>
#include <array>

#include "distill/data/mask_picture.h"

namespace reflux {
namespace {

void Count(const Dataset& dataset, size_t index, const LabelledImage& sample, DataReport& report) {
  ++report.images;
  ++report.sizes[{sample.image.rows, sample.image.cols}];
  if (dataset.samples()[index].label_path.empty()) {
    ++report.unlabelled;
    return;
  }
  std::array<int64_t, 256> histogram = {};
  for (int y = 0; y < sample.label.rows; ++y) {
    const uint8_t* row = sample.label.ptr<uint8_t>(y);
    for (int x = 0; x < sample.label.cols; ++x) ++histogram[row[x]];
  }
  for (size_t c = 0; c < report.class_pixels.size(); ++c) {
    report.class_pixels[c] += histogram[c];
    report.class_images[c] += histogram[c] > 0 ? 1 : 0;
  }
  report.ignored_pixels += histogram[dataset.ignore_index()];
}

}  // namespace

DataReport CheckDataset(const Dataset& dataset, const std::function<void(int64_t)>& progress) {
  DataReport report{.task = dataset.task()};
  report.class_pixels.resize(dataset.class_names().size());
  report.class_images.resize(dataset.class_names().size());
  for (size_t i = 0; i < dataset.samples().size(); ++i) {
    const absl::StatusOr<LabelledImage> sample = ReadLabelledImage(dataset, i);
    if (sample.ok()) {
      Count(dataset, i, *sample, report);
    } else {
      report.problems.emplace_back(sample.status().message());
    }
    if (progress) progress(static_cast<int64_t>(i) + 1);
  }
  return report;
}

absl::StatusOr<cv::Mat> OverlayPicture(const Dataset& dataset, int64_t count) {
  if (dataset.task() != Task::kSegmentation) {
    return absl::FailedPreconditionError(dataset.format() +
                                         " labels whole images: there is nothing to lay over them");
  }
  const auto all = static_cast<int64_t>(dataset.samples().size());
  std::vector<std::vector<cv::Mat>> rows;
  for (int64_t wanted = 0; wanted < std::min(count, all); ++wanted) {
    // The first sound sample of each equal part of the set.
    const int64_t parts = std::min(count, all), end = (wanted + 1) * all / parts;
    for (int64_t i = wanted * all / parts; i < end; ++i) {
      const absl::StatusOr<LabelledImage> sample = ReadLabelledImage(dataset, i);
      if (!sample.ok()) continue;
      rows.push_back({sample->image, Overlay(sample->image, sample->label, dataset.palette())});
      break;
    }
  }
  if (rows.empty()) return absl::DataLossError("no image with its label can be shown");
  return PictureTable({"image", "labels"}, rows, dataset.class_names(), dataset.palette());
}

}  // namespace reflux
