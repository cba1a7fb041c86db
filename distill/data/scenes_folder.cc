// Generated scenes on disk (scenes.h).
#include <filesystem>
#include <opencv2/imgcodecs.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/scenes.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

// Raised whenever the pictures change.
constexpr int kRevision = 1;
constexpr char kMarker[] = "scenes.txt";
constexpr char kComplete[] = "complete\n";
constexpr int kJpegQuality = 92;
// Validation scenes have numbers that no training set reaches.
constexpr uint64_t kFirstValidation = uint64_t{1} << 32;

absl::Status CheckRange(const char* field, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, " is ", value, "; allowed are ", low, " to ", high));
}

// Whether `folder` is complete (true), or to be filled (false).
absl::StatusOr<bool> ReadMarker(const std::string& folder, const SceneSetOptions& options) {
  std::error_code error;
  const std::string path = (fs::path(folder) / kMarker).string();
  absl::StatusOr<std::string> marker = ReadFile(path, 4096);
  if (absl::IsNotFound(marker.status())) {
    if (!fs::exists(folder, error) || fs::is_empty(folder, error)) return false;
    return absl::FailedPreconditionError(
        absl::StrCat(folder, " is not empty and holds no generated scenes (no ", kMarker,
                     "): choose another folder"));
  }
  REFLUX_RETURN_IF_ERROR(marker.status());
  const std::string wanted = absl::StrCat(options.ToString(), "\n");
  if (*marker == wanted) return false;
  if (*marker == wanted + kComplete) return true;
  return absl::FailedPreconditionError(absl::StrCat(
      folder, " holds scenes of other options (", marker->substr(0, marker->find('\n')),
      "), wanted are ", options.ToString(), ": choose another folder, or delete this one"));
}

absl::Status WriteImage(const std::string& path, const cv::Mat& image,
                        const std::vector<int>& parameters) {
  std::vector<uint8_t> bytes;
  if (!cv::imencode(fs::path(path).extension().string(), image, bytes, parameters)) {
    return absl::InternalError(absl::StrCat(path, ": the image does not encode"));
  }
  return WriteFileAtomically(
      path, absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

// The scene's files; the label comes last, so that its presence means both.
struct SceneFiles {
  std::string image, label;
  uint64_t number = 0;
};

std::vector<SceneFiles> ListFiles(const std::string& folder, const SceneSetOptions& options) {
  std::vector<SceneFiles> list;
  const auto add = [&](const char* split, int64_t count, uint64_t first) {
    for (int64_t i = 0; i < count; ++i) {
      const std::string name = absl::StrFormat("scene_%06d", i);
      list.push_back({absl::StrCat(folder, "/", split, "/", name, ".jpg"),
                      absl::StrCat(folder, "/", split, "annot/", name, ".png"), first + i});
    }
  };
  add("train", options.train, 0);
  add("val", options.val, kFirstValidation);
  return list;
}

absl::Status MakeFolders(const std::string& folder) {
  for (const char* part : {"train", "trainannot", "val", "valannot"}) {
    std::error_code error;
    const fs::path path = fs::path(folder) / part;
    fs::create_directories(path, error);
    if (error) return ErrnoStatus(error.value(), "cannot create", path.string());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SceneSetOptions::Validate() const {
  REFLUX_RETURN_IF_ERROR(CheckRange("train", train, 1, kMaxImages));
  REFLUX_RETURN_IF_ERROR(CheckRange("val", val, 1, kMaxImages));
  REFLUX_RETURN_IF_ERROR(CheckRange("height", height, kMinSide, kMaxSide));
  return CheckRange("width", width, kMinSide, kMaxSide);
}

std::string SceneSetOptions::ToString() const {
  return absl::StrCat("train=", train, " val=", val, " height=", height, " width=", width,
                      " seed=", seed, " revision=", kRevision);
}

absl::StatusOr<SceneSetReport> WriteScenes(const std::string& folder,
                                           const SceneSetOptions& options,
                                           const std::function<void(int64_t, int64_t)>& progress) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  SceneSetReport report;
  REFLUX_ASSIGN_OR_RETURN(report.was_complete, ReadMarker(folder, options));
  if (report.was_complete) return report;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return ErrnoStatus(error.value(), "cannot create", folder);
  // The marker comes first, so that no later run takes a half-filled folder for something else.
  const std::string marker = (fs::path(folder) / kMarker).string();
  REFLUX_RETURN_IF_ERROR(WriteFileAtomically(marker, absl::StrCat(options.ToString(), "\n")));
  REFLUX_RETURN_IF_ERROR(MakeFolders(folder));
  const std::vector<SceneFiles> list = ListFiles(folder, options);
  for (const SceneFiles& files : list) {
    if (fs::exists(files.label, error)) {
      ++report.found;
      continue;
    }
    const Scene scene = DrawScene(options.seed, files.number, options.height, options.width);
    REFLUX_RETURN_IF_ERROR(
        WriteImage(files.image, scene.image, {cv::IMWRITE_JPEG_QUALITY, kJpegQuality}));
    REFLUX_RETURN_IF_ERROR(WriteImage(files.label, scene.label, {}));
    ++report.written;
    if (progress) progress(report.found + report.written, static_cast<int64_t>(list.size()));
  }
  REFLUX_RETURN_IF_ERROR(
      WriteFileAtomically(marker, absl::StrCat(options.ToString(), "\n", kComplete)));
  return report;
}

}  // namespace reflux
