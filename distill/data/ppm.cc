#include "distill/data/ppm.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/targets/target.h"

namespace reflux {
namespace {

std::string HeaderText(int32_t height, int32_t width) {
  return absl::StrCat(kPpmStart, width, " ", height, "\n255\n");
}

}  // namespace

absl::StatusOr<ImageHeader> ReadPpmHeader(absl::string_view bytes) {
  constexpr size_t kLongest = 32;
  ImageHeader header;
  const std::vector<absl::string_view> lines = absl::StrSplit(bytes.substr(0, kLongest), '\n');
  const std::vector<absl::string_view> sides =
      lines.size() > 1 ? absl::StrSplit(lines[1], ' ') : std::vector<absl::string_view>();
  const bool read = sides.size() == 2 && absl::SimpleAtoi(sides[0], &header.width) &&
                    absl::SimpleAtoi(sides[1], &header.height) && header.width > 0 &&
                    header.height > 0;
  if (!read || !absl::StartsWith(bytes, HeaderText(header.height, header.width)))
    return absl::DataLossError("not a binary PPM of 8 bits: P6, width and height, 255");
  if (header.height > View::kMaxSide || header.width > View::kMaxSide) {
    return absl::ResourceExhaustedError(absl::StrCat("the image has ", header.height, "x",
                                                     header.width, " pixels, at most ",
                                                     View::kMaxSide, " a side are read"));
  }
  const size_t wanted = HeaderText(header.height, header.width).size() +
                        size_t{3} * static_cast<size_t>(header.height) * header.width;
  if (bytes.size() == wanted) return header;
  return absl::DataLossError(
      absl::StrCat("the PPM has ", bytes.size(), " bytes where ", wanted, " belong"));
}

absl::StatusOr<cv::Mat> DecodePpm(absl::string_view bytes) {
  REFLUX_ASSIGN_OR_RETURN(const ImageHeader header, ReadPpmHeader(bytes));
  const char* from = bytes.data() + HeaderText(header.height, header.width).size();
  cv::Mat image(header.height, header.width, CV_8UC3);
  for (int y = 0; y < image.rows; ++y) {
    uint8_t* to = image.ptr<uint8_t>(y);
    for (int x = 0; x < image.cols; ++x, from += 3, to += 3) {
      for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(from[2 - c]);
    }
  }
  return image;
}

std::string PpmFromPlanes(absl::string_view planes, int32_t height, int32_t width) {
  std::string ppm = HeaderText(height, width);
  const size_t plane = static_cast<size_t>(height) * width;
  ppm.reserve(ppm.size() + 3 * plane);
  for (size_t i = 0; i < plane; ++i) {
    for (size_t c = 0; c < 3; ++c) ppm.push_back(planes[c * plane + i]);
  }
  return ppm;
}

}  // namespace reflux
