// Reading and decoding of image files (dataset.h).
#include <filesystem>
#include <mutex>
#include <opencv2/imgcodecs.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/dataset.h"

namespace reflux {
namespace {

constexpr int64_t kMaxImageBytes = int64_t{64} << 20;

bool IsJpeg(absl::string_view bytes) { return absl::StartsWith(bytes, "\xff\xd8\xff"); }
bool IsPng(absl::string_view bytes) { return absl::StartsWith(bytes, "\x89PNG\r\n\x1a\n"); }

// A whole JPEG ends with the EOI marker (some cameras pad it with zeros), a whole PNG with IEND.
bool IsWhole(absl::string_view bytes) {
  if (IsPng(bytes))
    return absl::StrContains(bytes.substr(bytes.size() - std::min<size_t>(bytes.size(), 16)),
                             "IEND");
  while (!bytes.empty() && bytes.back() == '\0') bytes.remove_suffix(1);
  return absl::EndsWith(bytes, "\xff\xd9");
}

}  // namespace

absl::StatusOr<std::string> ReadImageFile(const std::string& root, const Locator& locator) {
  for (absl::string_view part : absl::StrSplit(locator.path, '/')) {
    if (part == ".." || part.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", locator.path, "' is not a path below the data set's root"));
    }
  }
  return ReadFile((std::filesystem::path(root) / locator.path).string(), kMaxImageBytes);
}

absl::StatusOr<cv::Mat> DecodeImage(const std::string& bytes) {
  if (!IsJpeg(bytes) && !IsPng(bytes)) return absl::DataLossError("neither a JPEG nor a PNG file");
  if (!IsWhole(bytes)) return absl::DataLossError("the image file is truncated");
  cv::Mat image;
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    image = cv::imdecode(raw, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const cv::Exception& error) {
    return absl::DataLossError(absl::StrCat("the image does not decode: ", error.err));
  }
  if (image.empty()) return absl::DataLossError("the image does not decode");
  if (image.rows > View::kMaxSide || image.cols > View::kMaxSide) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the image has over ", View::kMaxSide, " pixels a side"));
  }
  return image;
}

}  // namespace reflux
