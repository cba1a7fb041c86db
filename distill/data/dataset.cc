#include "distill/data/dataset.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "distill/data/camvid_dataset.h"

namespace reflux {
namespace {

absl::StatusOr<cv::Mat> WithPath(const std::string& path, absl::StatusOr<cv::Mat> image) {
  if (image.ok()) return image;
  return absl::Status(image.status().code(), absl::StrCat(path, ": ", image.status().message()));
}

}  // namespace

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

absl::StatusOr<LabelledImage> ReadLabelledImage(const Dataset& dataset, size_t index,
                                                const Digest* expected) {
  const std::string& path = dataset.samples()[index].image.path;
  LabelledImage sample;
  REFLUX_ASSIGN_OR_RETURN(sample.bytes, dataset.ReadImage(index));
  if (expected != nullptr && Sha256::Of(sample.bytes) != *expected) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": the image has changed since the run began"));
  }
  REFLUX_ASSIGN_OR_RETURN(sample.image, WithPath(path, DecodeImage(sample.bytes)));
  REFLUX_ASSIGN_OR_RETURN(sample.label, dataset.ReadLabel(index));
  if (sample.image.size == sample.label.size) return sample;
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": the image has ", sample.image.rows, "x", sample.image.cols, " pixels, its label ",
      sample.label.rows, "x", sample.label.cols, "; both need the same size"));
}

std::vector<std::string> CheckDataset(const Dataset& dataset) {
  std::vector<std::string> problems;
  for (size_t i = 0; i < dataset.samples().size(); ++i) {
    const absl::Status status = ReadLabelledImage(dataset, i).status();
    if (!status.ok()) problems.emplace_back(status.message());
  }
  return problems;
}

}  // namespace reflux
