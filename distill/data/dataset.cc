#include "distill/data/dataset.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/cifar.h"
#include "distill/data/layout.h"
#include "distill/data/view.h"

namespace reflux {
namespace {

constexpr int64_t kMaxLabelBytes = int64_t{64} << 20;

absl::StatusOr<cv::Mat> WithPath(const std::string& path, absl::StatusOr<cv::Mat> image) {
  if (image.ok()) return image;
  return absl::Status(image.status().code(), absl::StrCat(path, ": ", image.status().message()));
}

class FileDataset : public Dataset {
 public:
  FileDataset(Layout layout, std::vector<SampleFiles> samples)
      : layout_(std::move(layout)), samples_(std::move(samples)) {
    for (const LabelValues& values : layout_.values) {
      maps_.push_back(std::make_shared<const LabelMap>(
          LabelMap{.num_classes = static_cast<int32_t>(layout_.classes.names.size()),
                   .ignore_index = layout_.ignore_index,
                   .values = values.Entries()}));
    }
  }

  const std::string& format() const override { return layout_.format; }
  const std::vector<SampleFiles>& samples() const override { return samples_; }
  const std::vector<std::string>& class_names() const override { return layout_.classes.names; }
  const std::vector<cv::Vec3b>& palette() const override { return layout_.classes.palette; }
  int ignore_index() const override { return layout_.ignore_index; }
  const std::string& root() const override { return layout_.root; }

  absl::StatusOr<std::string> ReadImage(size_t index) const override {
    return ReadImageFile(layout_.root, samples_[index].image);
  }

  absl::StatusOr<cv::Mat> ReadLabel(size_t index) const override {
    const SampleFiles& files = samples_[index];
    if (files.label_path.empty()) return cv::Mat();
    const std::string path = LabelPath(files);
    REFLUX_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxLabelBytes));
    REFLUX_ASSIGN_OR_RETURN(const cv::Mat raw, WithPath(path, DecodeLabel(bytes)));
    return WithPath(path, layout_.values[files.values].Apply(raw));
  }

  absl::StatusOr<LabelFile> ReadLabelFile(size_t index) const override {
    LabelFile label{.map = LabelMapOf(index)};
    if (samples_[index].label_path.empty()) return label;
    REFLUX_ASSIGN_OR_RETURN(label.bytes, ReadFile(LabelPath(samples_[index]), kMaxLabelBytes));
    return label;
  }
  std::shared_ptr<const LabelMap> LabelMapOf(size_t index) const override {
    return maps_[samples_[index].values];
  }

 private:
  std::string LabelPath(const SampleFiles& files) const {
    return (std::filesystem::path(layout_.root) / files.label_path).string();
  }

  const Layout layout_;
  const std::vector<SampleFiles> samples_;
  std::vector<std::shared_ptr<const LabelMap>> maps_;  // of layout_.values
};

}  // namespace

absl::StatusOr<LabelFile> Dataset::ReadLabelFile(size_t) const {
  return absl::UnimplementedError(
      absl::StrCat("labels of the format ", format(), " are no files: targets.reduce: none"));
}

std::string DataRoot(const DatasetOptions& options) {
  const absl::StatusOr<Layout> layout = LayoutOf(options);
  return layout.ok() ? layout->root : options.root;
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenDataset(const DatasetOptions& options,
                                                     std::vector<std::string>* problems) {
  if (IsCifar(options.format)) return OpenCifar(options);
  REFLUX_ASSIGN_OR_RETURN(Layout layout, LayoutOf(options));
  if (options.without_labels) {
    for (ImagePlace& place : layout.places) place.labels.clear();
  }
  REFLUX_ASSIGN_OR_RETURN(Listing listing, ListSamples(layout, options.split));
  if (problems != nullptr) {
    problems->insert(problems->end(), listing.problems.begin(), listing.problems.end());
  } else if (!listing.problems.empty()) {
    const size_t more = listing.problems.size() - 1;
    return absl::NotFoundError(absl::StrCat(
        listing.problems.front(),
        more == 0 ? "" : absl::StrCat("; and ", more, " more such (reflux data check)")));
  }
  if (options.max_images > 0 && listing.samples.size() > static_cast<size_t>(options.max_images)) {
    listing.samples.resize(options.max_images);
  }
  return std::make_unique<FileDataset>(std::move(layout), std::move(listing.samples));
}

std::array<int64_t, 2> LabelSize(const Dataset& dataset, int64_t height, int64_t width) {
  if (dataset.task() == Task::kClassification) return {1, 1};
  return {height, width};
}

void WriteLabel(const Dataset& dataset, const cv::Mat& label, const View& view, int64_t* out) {
  if (dataset.task() == Task::kClassification) {
    *out = label.at<uint8_t>(0, 0);
  } else {
    ApplyViewToLabel(label, view, dataset.ignore_index(), out);
  }
}

absl::StatusOr<LabelledImage> ReadLabelledImage(const Dataset& dataset, size_t index,
                                                const Digest* expected, int shrink) {
  const std::string& path = dataset.samples()[index].image.path;
  LabelledImage sample;
  REFLUX_ASSIGN_OR_RETURN(sample.bytes, dataset.ReadImage(index));
  if (expected != nullptr && Sha256::Of(sample.bytes) != *expected) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": the image has changed since the run began"));
  }
  REFLUX_ASSIGN_OR_RETURN(sample.image,
                          WithPath(path, DecodeImage(sample.bytes, shrink, &sample.size)));
  REFLUX_ASSIGN_OR_RETURN(sample.label, dataset.ReadLabel(index));
  const bool whole = dataset.task() == Task::kClassification;
  if (sample.label.empty()) {
    sample.label =
        cv::Mat(whole ? cv::Size(1, 1) : sample.size, CV_8UC1, cv::Scalar(dataset.ignore_index()));
  }
  if (whole || sample.size == sample.label.size()) return sample;
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": the image has ", sample.size.height, "x", sample.size.width, " pixels, its label ",
      sample.label.rows, "x", sample.label.cols, "; both need the same size"));
}

}  // namespace reflux
