#include "distill/data/mask_picture.h"

#include <algorithm>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"

namespace reflux {
namespace {

constexpr int kMinWidth = 240, kGap = 6, kTitle = 26, kLegendLine = 22, kLegendWidth = 116;
const cv::Scalar kPaper(255, 255, 255), kInk(30, 30, 30);

void Write(cv::Mat& picture, const std::string& text, int x, int y) {
  cv::putText(picture, text, cv::Point(x, y), cv::FONT_HERSHEY_SIMPLEX, 0.45, kInk, 1, cv::LINE_AA);
}

// Enlarged pixels stay crisp, shrunk ones are averaged.
void Place(cv::Mat& picture, const cv::Mat& tile, const cv::Rect& where) {
  cv::resize(tile, picture(where), where.size(), 0, 0,
             tile.cols < where.width ? cv::INTER_NEAREST : cv::INTER_AREA);
}

void WriteLegend(cv::Mat& picture, int top, int columns, const std::vector<std::string>& names,
                 const std::vector<cv::Vec3b>& palette) {
  for (int i = 0; i < static_cast<int>(names.size()); ++i) {
    const int x = kGap + i % columns * kLegendWidth, y = top + i / columns * kLegendLine;
    const cv::Vec3b colour = i < static_cast<int>(palette.size()) ? palette[i] : cv::Vec3b();
    picture(cv::Rect(x, y + 4, 14, 14)).setTo(cv::Scalar(colour[0], colour[1], colour[2]));
    Write(picture, names[i], x + 19, y + 16);
  }
}

absl::Status CheckRows(const std::vector<std::string>& titles,
                       const std::vector<std::vector<cv::Mat>>& rows) {
  if (rows.empty()) return absl::InvalidArgumentError("a picture of masks needs a row");
  for (const std::vector<cv::Mat>& row : rows) {
    if (row.size() != titles.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("a row has ", row.size(), " pictures for ", titles.size(), " titles"));
    }
    const auto broken = [](const cv::Mat& tile) { return tile.empty() || tile.type() != CV_8UC3; };
    if (row.empty() || std::any_of(row.begin(), row.end(), broken))
      return absl::InvalidArgumentError("pictures are 8-bit BGR");
  }
  return absl::OkStatus();
}

}  // namespace

cv::Mat ColourMask(const cv::Mat& label, const std::vector<cv::Vec3b>& palette) {
  cv::Mat coloured = cv::Mat3b::zeros(label.size());
  for (int y = 0; y < label.rows; ++y) {
    const uint8_t* classes = label.ptr<uint8_t>(y);
    for (int x = 0; x < label.cols; ++x) {
      if (classes[x] < palette.size()) coloured.at<cv::Vec3b>(y, x) = palette[classes[x]];
    }
  }
  return coloured;
}

cv::Mat Overlay(const cv::Mat& image, const cv::Mat& label, const std::vector<cv::Vec3b>& palette) {
  cv::Mat mixed = image.clone();
  for (int y = 0; y < label.rows; ++y) {
    const uint8_t* classes = label.ptr<uint8_t>(y);
    for (int x = 0; x < label.cols; ++x) {
      if (classes[x] >= palette.size()) continue;
      cv::Vec3b& pixel = mixed.at<cv::Vec3b>(y, x);
      for (int c = 0; c < 3; ++c) {
        pixel[c] = static_cast<uint8_t>((pixel[c] + palette[classes[x]][c]) / 2);
      }
    }
  }
  return mixed;
}

absl::StatusOr<cv::Mat> PictureTable(const std::vector<std::string>& titles,
                                     const std::vector<std::vector<cv::Mat>>& rows,
                                     const std::vector<std::string>& class_names,
                                     const std::vector<cv::Vec3b>& palette) {
  if (absl::Status status = CheckRows(titles, rows); !status.ok()) return status;
  const cv::Size first = rows.front().front().size();
  const int width = std::max(first.width, kMinWidth), height = width * first.height / first.width;
  const int columns = static_cast<int>(titles.size()), count = static_cast<int>(rows.size());
  const int total_width = kGap + columns * (width + kGap);
  const int legend_columns = std::max(1, (total_width - kGap) / kLegendWidth);
  const int legend_lines =
      (static_cast<int>(class_names.size()) + legend_columns - 1) / legend_columns;
  const int legend_top = kTitle + count * (height + kGap);
  cv::Mat picture(legend_top + legend_lines * kLegendLine + kGap, total_width, CV_8UC3, kPaper);
  for (int c = 0; c < columns; ++c) Write(picture, titles[c], kGap + c * (width + kGap), 18);
  for (int r = 0; r < count; ++r) {
    for (int c = 0; c < columns; ++c) {
      const cv::Rect where(kGap + c * (width + kGap), kTitle + r * (height + kGap), width, height);
      Place(picture, rows[r][c], where);
    }
  }
  WriteLegend(picture, legend_top, legend_columns, class_names, palette);
  return picture;
}

absl::StatusOr<cv::Mat> MaskPicture(const std::vector<std::string>& titles,
                                    const std::vector<MaskRow>& rows,
                                    const std::vector<std::string>& class_names,
                                    const std::vector<cv::Vec3b>& palette) {
  std::vector<std::vector<cv::Mat>> tiles;
  for (const MaskRow& row : rows) {
    tiles.push_back({row.image});
    for (const cv::Mat& mask : row.masks) {
      if (mask.empty() || mask.type() != CV_8UC1)
        return absl::InvalidArgumentError("masks are 8-bit class indices");
      tiles.back().push_back(ColourMask(mask, palette));
    }
  }
  return PictureTable(titles, tiles, class_names, palette);
}

std::string EncodePng(const cv::Mat& picture) {
  std::vector<uint8_t> bytes;
  cv::imencode(".png", picture, bytes);
  return {bytes.begin(), bytes.end()};
}

absl::Status WritePng(const std::string& path, const cv::Mat& picture) {
  return WriteFileAtomically(path, EncodePng(picture));
}

}  // namespace reflux
