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

void Place(cv::Mat& picture, const cv::Mat& tile, const cv::Rect& where, int interpolation) {
  cv::resize(tile, picture(where), where.size(), 0, 0, interpolation);
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

absl::Status CheckRows(const std::vector<std::string>& titles, const std::vector<MaskRow>& rows) {
  if (rows.empty()) return absl::InvalidArgumentError("a picture of masks needs a row");
  for (const MaskRow& row : rows) {
    if (row.masks.size() + 1 != titles.size()) {
      return absl::InvalidArgumentError(absl::StrCat("a row has ", row.masks.size() + 1,
                                                     " pictures for ", titles.size(), " titles"));
    }
    const auto broken = [](const cv::Mat& mask) { return mask.empty() || mask.type() != CV_8UC1; };
    if (row.image.empty() || row.image.type() != CV_8UC3 ||
        std::any_of(row.masks.begin(), row.masks.end(), broken))
      return absl::InvalidArgumentError("pictures are 8-bit BGR, masks 8-bit class indices");
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<cv::Vec3b>& CamVidPalette() {
  static const auto& palette = *new std::vector<cv::Vec3b>{
      {128, 128, 128}, {0, 0, 128},   {128, 192, 192}, {128, 64, 128}, {222, 40, 60}, {0, 128, 128},
      {128, 128, 192}, {128, 64, 64}, {128, 0, 64},    {0, 64, 64},    {192, 128, 0}};
  return palette;
}

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

absl::StatusOr<cv::Mat> MaskPicture(const std::vector<std::string>& titles,
                                    const std::vector<MaskRow>& rows,
                                    const std::vector<std::string>& class_names,
                                    const std::vector<cv::Vec3b>& palette) {
  if (absl::Status status = CheckRows(titles, rows); !status.ok()) return status;
  const cv::Size first = rows.front().image.size();
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
      if (c == 0) {
        Place(picture, rows[r].image, where, cv::INTER_LINEAR);
      } else {
        Place(picture, ColourMask(rows[r].masks[c - 1], palette), where, cv::INTER_NEAREST);
      }
    }
  }
  WriteLegend(picture, legend_top, legend_columns, class_names, palette);
  return picture;
}

absl::Status WritePng(const std::string& path, const cv::Mat& picture) {
  std::vector<uint8_t> bytes;
  cv::imencode(".png", picture, bytes);
  return WriteFileAtomically(path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace reflux
