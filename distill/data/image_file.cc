// Reading and decoding of image files (dataset.h).
#include <filesystem>
#include <opencv2/imgcodecs.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "distill/data/cifar.h"
#include "distill/data/dataset.h"
#include "distill/data/image_header.h"
#include "distill/data/png_palette.h"
#include "distill/data/ppm.h"

namespace reflux {
namespace {

constexpr int64_t kMaxImageBytes = int64_t{64} << 20;

// The caller has read the header: nothing too large is decoded here.
absl::StatusOr<cv::Mat> Decode(const std::string& bytes, int mode) {
  try {
    const cv::Mat raw(1, static_cast<int>(bytes.size()), CV_8U, const_cast<char*>(bytes.data()));
    cv::Mat image = cv::imdecode(raw, mode);
    if (image.empty()) return absl::DataLossError("the image does not decode");
    return image;
  } catch (const cv::Exception& error) {
    return absl::DataLossError(absl::StrCat("the image does not decode: ", error.err));
  }
}

// OpenCV shrinks a PNG too, after it has decoded all of it: a JPEG alone gains by it.
int ColourMode(const ImageHeader& header, int shrink) {
  if (!header.jpeg || shrink == 1) return cv::IMREAD_COLOR;
  if (shrink == 2) return cv::IMREAD_REDUCED_COLOR_2;
  return shrink == 4 ? cv::IMREAD_REDUCED_COLOR_4 : cv::IMREAD_REDUCED_COLOR_8;
}

}  // namespace

absl::StatusOr<std::string> ReadImageFile(const std::string& root, const Locator& locator) {
  for (absl::string_view part : absl::StrSplit(locator.path, '/')) {
    if (part == ".." || part.empty() || part.find('\0') != absl::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", locator.path, "' is not a path below the data set's root"));
    }
  }
  if (IsCifarRecord(locator.path)) return ReadCifarImage(root, locator.path);
  return ReadFile((std::filesystem::path(root) / locator.path).string(), kMaxImageBytes);
}

absl::StatusOr<cv::Mat> DecodeImage(const std::string& bytes, int shrink, cv::Size* encoded) {
  if (absl::StartsWith(bytes, kPpmStart)) {
    absl::StatusOr<cv::Mat> image = DecodePpm(bytes);
    if (image.ok() && encoded != nullptr) *encoded = image->size();
    return image;
  }
  REFLUX_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(bytes));
  if (encoded != nullptr) *encoded = cv::Size(header.width, header.height);
  return Decode(bytes, ColourMode(header, shrink) | cv::IMREAD_IGNORE_ORIENTATION);
}

absl::StatusOr<cv::Size> ReadImageSize(const std::string& bytes) {
  const bool ppm = absl::StartsWith(bytes, kPpmStart);
  REFLUX_ASSIGN_OR_RETURN(const ImageHeader header,
                          ppm ? ReadPpmHeader(bytes) : ReadImageHeader(bytes));
  return cv::Size(header.width, header.height);
}

absl::StatusOr<cv::Mat> DecodeLabel(const std::string& bytes) {
  int bits = 8;
  const bool palette = IsPalettePng(bytes, &bits);
  REFLUX_RETURN_IF_ERROR(ReadImageHeader(bytes).status());
  REFLUX_ASSIGN_OR_RETURN(
      cv::Mat label, Decode(palette ? GreyFromPalettePng(bytes) : bytes, cv::IMREAD_UNCHANGED));
  // Decoders stretch grey values of fewer bits to 0..255.
  if (palette && bits < 8) label /= 255 / ((1 << bits) - 1);
  if (label.type() == CV_8UC1 || label.type() == CV_16UC1) return label;
  return absl::InvalidArgumentError(
      absl::StrCat("a label is an 8-bit or 16-bit single-channel PNG of class indices, or one with "
                   "a palette; this image has ",
                   label.channels(), " channel(s) of ", 8 * label.elemSize1(), " bits"));
}

}  // namespace reflux
