#include "distill/data/dataset.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "distill/data/camvid_dataset.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options) {
  if (options.format == "camvid") return OpenCamVid(options);
  constexpr std::array<const char*, 6> kPlanned = {"cityscapes", "voc",     "ade20k",
                                                   "coco_stuff", "folders", "cifar"};
  if (std::find(kPlanned.begin(), kPlanned.end(), options.format) != kPlanned.end()) {
    return absl::UnimplementedError(absl::StrCat("not available in this version: data format ",
                                                 options.format, " (available: camvid)"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("data.format: unknown format '", options.format, "' (available: camvid)"));
}

std::vector<std::string> CheckDataset(const Dataset& dataset) {
  std::vector<std::string> problems;
  for (size_t i = 0; i < dataset.samples().size(); ++i) {
    const std::string& path = dataset.samples()[i].image.path;
    absl::StatusOr<cv::Mat> label = dataset.ReadLabel(i);
    if (!label.ok()) problems.emplace_back(label.status().message());
    absl::StatusOr<std::string> bytes = dataset.ReadImage(i);
    absl::StatusOr<cv::Mat> image = bytes.ok() ? DecodeImage(*bytes) : bytes.status();
    if (!image.ok()) problems.push_back(absl::StrCat(path, ": ", image.status().message()));
    if (!label.ok() || !image.ok() || label->size == image->size) continue;
    problems.push_back(absl::StrCat(path, ": the image has ", image->rows, "x", image->cols,
                                    " pixels, its label ", label->rows, "x", label->cols));
  }
  return problems;
}

}  // namespace reflux
