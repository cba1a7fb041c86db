#include "distill/data/label_file.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "distill/data/label_values.h"
#include "distill/data/manifest.h"

namespace reflux {
namespace {

class SplitLabels {
 public:
  explicit SplitLabels(std::vector<DatasetOptions> splits) : splits_(std::move(splits)) {}

  absl::StatusOr<LabelFile> Read(const Locator& locator) {
    const std::pair<const Dataset*, size_t> found = Find(locator.path);
    if (found.first != nullptr) return found.first->ReadLabelFile(found.second);
    return absl::NotFoundError(absl::StrCat("no label of ", locator.path, " is known here"));
  }

 private:
  std::pair<const Dataset*, size_t> Find(const std::string& path) {
    MutexLock lock(mutex_);
    for (const DatasetOptions& options : std::exchange(splits_, {})) Open(options);
    const auto it = places_.find(path);
    return it == places_.end() ? std::pair<const Dataset*, size_t>() : it->second;
  }

  void Open(const DatasetOptions& options) REFLUX_REQUIRES(mutex_) {
    absl::StatusOr<std::unique_ptr<Dataset>> opened = OpenDataset(options);
    if (!opened.ok()) return;
    datasets_.push_back(*std::move(opened));
    const Dataset& dataset = *datasets_.back();
    for (size_t i = 0; i < dataset.samples().size(); ++i)
      places_.emplace(dataset.samples()[i].image.path, std::pair(&dataset, i));
  }

  Mutex mutex_;
  std::vector<DatasetOptions> splits_ REFLUX_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Dataset>> datasets_ REFLUX_GUARDED_BY(mutex_);
  std::map<std::string, std::pair<const Dataset*, size_t>> places_ REFLUX_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<cv::Mat> DecodeLabelFile(const LabelFile& label, cv::Size size) {
  const int ignored = label.map->ignore_index;
  if (label.bytes.empty()) return cv::Mat(size, CV_8UC1, cv::Scalar(ignored));
  REFLUX_ASSIGN_OR_RETURN(const cv::Mat raw, DecodeLabel(label.bytes));
  if (raw.size() != size) {
    return absl::InvalidArgumentError(absl::StrCat("the image has ", size.height, "x", size.width,
                                                   " pixels, its label ", raw.rows, "x", raw.cols));
  }
  return LabelValues::Map(label.map->values, ignored).Apply(raw);
}

ReadLabelFn LabelReader(std::vector<DatasetOptions> splits) {
  auto labels = std::make_shared<SplitLabels>(std::move(splits));
  return [labels](const Locator& locator) { return labels->Read(locator); };
}

absl::StatusOr<std::vector<Digest>> LabelDigests(const Dataset& dataset,
                                                 const std::string& cache_folder,
                                                 const HashWatch& watch) {
  REFLUX_ASSIGN_OR_RETURN(std::vector<Digest> digests,
                          LabelFileDigests(dataset, cache_folder, watch));
  for (size_t i = 0; i < digests.size(); ++i) {
    const std::shared_ptr<const LabelMap> map = dataset.LabelMapOf(i);
    if (map == nullptr) return dataset.ReadLabelFile(i).status();
    digests[i] = LabelDigest(digests[i], *map);
  }
  return digests;
}

}  // namespace reflux
