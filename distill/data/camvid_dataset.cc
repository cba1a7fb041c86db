#include "distill/data/camvid_dataset.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
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

absl::StatusOr<std::vector<SampleFiles>> ListImages(const fs::path& root,
                                                    const std::string& split) {
  std::vector<SampleFiles> samples;
  std::error_code error;
  for (fs::directory_iterator it(root / split, error), end; !error && it != end;
       it.increment(error)) {
    const fs::path& path = it->path();
    const std::string extension = absl::AsciiStrToLower(path.extension().string());
    if (extension != ".jpg" && extension != ".jpeg" && extension != ".png") continue;
    SampleFiles files;
    files.image = {.dataset = "camvid", .path = absl::StrCat(split, "/", path.filename().string())};
    files.label_path = absl::StrCat(split, "annot/", path.stem().string(), ".png");
    samples.push_back(std::move(files));
  }
  if (error) return ErrnoStatus(error.value(), "cannot list", (root / split).string());
  return samples;
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
    absl::StatusOr<cv::Mat> decoded = DecodeLabel(bytes);
    if (!decoded.ok()) {
      return absl::Status(decoded.status().code(),
                          absl::StrCat(path, ": ", decoded.status().message()));
    }
    const cv::Mat& label = *decoded;
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
  REFLUX_ASSIGN_OR_RETURN(std::vector<SampleFiles> samples, ListImages(root, options.split));
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
    std::error_code error;
    if (fs::exists(root / files.label_path, error)) continue;
    return absl::NotFoundError(absl::StrCat("the image ", (root / files.image.path).string(),
                                            " has no label: add ", files.label_path,
                                            " or remove the image"));
  }
  return std::make_unique<CamVidDataset>(options.root, std::move(samples));
}

}  // namespace reflux
