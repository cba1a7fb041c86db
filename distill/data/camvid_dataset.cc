#include "distill/data/camvid_dataset.h"

#include <algorithm>
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxLabelBytes = int64_t{64} << 20;

absl::Status CheckFolder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return absl::OkStatus();
  return absl::NotFoundError(
      absl::StrCat("data.root: the folder ", folder.string(),
                   " does not exist; the camvid layout is ROOT/{train,val}/NAME.jpg with labels "
                   "ROOT/{trainannot,valannot}/NAME.png"));
}

class CamVidDataset : public Dataset {
 public:
  CamVidDataset(std::string root, std::vector<SampleFiles> samples)
      : root_(std::move(root)), samples_(std::move(samples)) {}

  const std::vector<SampleFiles>& samples() const override { return samples_; }
  const std::vector<std::string>& class_names() const override { return CamVidClassNames(); }
  int ignore_index() const override { return kCamVidIgnore; }
  const std::string& root() const override { return root_; }

  absl::StatusOr<std::string> ReadImage(size_t index) const override {
    return ReadImageFile(root_, samples_[index].image);
  }

  absl::StatusOr<cv::Mat> ReadLabel(size_t index) const override {
    const std::string path = (fs::path(root_) / samples_[index].label_path).string();
    REFLUX_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, kMaxLabelBytes));
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    cv::Mat label;
    if (!bytes.empty()) label = cv::imdecode(raw, cv::IMREAD_UNCHANGED);
    if (label.empty())
      return absl::DataLossError(absl::StrCat(path, ": the label does not decode"));
    if (label.type() != CV_8UC1) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": a label is an 8-bit single-channel PNG"));
    }
    REFLUX_RETURN_IF_ERROR(CheckValues(label, path));
    return label;
  }

 private:
  static absl::Status CheckValues(const cv::Mat& label, const std::string& path) {
    for (int y = 0; y < label.rows; ++y) {
      const uint8_t* row = label.ptr<uint8_t>(y);
      const uint8_t* bad =
          std::find_if(row, row + label.cols, [](uint8_t v) { return v > kCamVidIgnore; });
      if (bad == row + label.cols) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": label value ", *bad, " at row ", y, ", column ", bad - row,
                       "; allowed are 0..", kCamVidIgnore - 1, " and ", kCamVidIgnore, " (void)"));
    }
    return absl::OkStatus();
  }

  const std::string root_;
  const std::vector<SampleFiles> samples_;
};

}  // namespace

const std::vector<std::string>& CamVidClassNames() {
  static const auto& names = *new std::vector<std::string>{
      "Sky",        "Building", "Pole", "Road",       "Pavement", "Tree",
      "SignSymbol", "Fence",    "Car",  "Pedestrian", "Bicyclist"};
  return names;
}

absl::StatusOr<std::unique_ptr<Dataset>> OpenCamVid(const DatasetOptions& options) {
  const fs::path root = options.root;
  REFLUX_RETURN_IF_ERROR(CheckFolder(root));
  REFLUX_RETURN_IF_ERROR(CheckFolder(root / options.split));
  REFLUX_RETURN_IF_ERROR(CheckFolder(root / (options.split + "annot")));
  std::vector<SampleFiles> samples;
  for (const fs::directory_entry& entry : fs::directory_iterator(root / options.split)) {
    const std::string extension = entry.path().extension().string();
    if (extension != ".jpg" && extension != ".jpeg" && extension != ".png") continue;
    SampleFiles files;
    files.image = {.dataset = "camvid",
                   .path = absl::StrCat(options.split, "/", entry.path().filename().string())};
    files.label_path = absl::StrCat(options.split, "annot/", entry.path().stem().string(), ".png");
    samples.push_back(std::move(files));
  }
  // Directory order differs between machines; the order of samples is part of a run's identity.
  std::sort(samples.begin(), samples.end(),
            [](const SampleFiles& a, const SampleFiles& b) { return a.image.path < b.image.path; });
  if (options.max_images > 0 && samples.size() > static_cast<size_t>(options.max_images)) {
    samples.resize(options.max_images);
  }
  if (samples.empty()) {
    return absl::NotFoundError(
        absl::StrCat("data.root: no .jpg or .png image in ", (root / options.split).string()));
  }
  for (const SampleFiles& files : samples) {
    if (fs::exists(root / files.label_path)) continue;
    return absl::NotFoundError(absl::StrCat("the image ", files.image.path, " has no label: ",
                                            (root / files.label_path).string(), " does not exist"));
  }
  return std::make_unique<CamVidDataset>(options.root, std::move(samples));
}

}  // namespace reflux
