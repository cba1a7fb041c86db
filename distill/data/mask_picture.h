// Pictures of label maps, side by side. Torch-free, thread-safe.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace reflux {

// CamVid's own colours (BGR) for classes 0..10; void is black.
const std::vector<cv::Vec3b>& CamVidPalette();

// 8-bit class indices to BGR. Values beyond the palette become black.
cv::Mat ColourMask(const cv::Mat& label, const std::vector<cv::Vec3b>& palette);

struct MaskRow {
  cv::Mat image;               // 8-bit BGR
  std::vector<cv::Mat> masks;  // 8-bit class indices: ground truth, then predictions
};

// One line of pictures a row under `titles` (the image's and one for each mask) and a legend of
// `class_names` below. Everything is scaled to the first image's size, at least 240 pixels wide so
// that titles fit. InvalidArgument when a row has not as many pictures as there are titles.
absl::StatusOr<cv::Mat> MaskPicture(const std::vector<std::string>& titles,
                                    const std::vector<MaskRow>& rows,
                                    const std::vector<std::string>& class_names,
                                    const std::vector<cv::Vec3b>& palette);

// Writes a BGR picture as PNG, whole or not at all.
absl::Status WritePng(const std::string& path, const cv::Mat& picture);

}  // namespace reflux
