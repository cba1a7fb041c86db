// Pictures of label maps, side by side. Torch-free, thread-safe.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace reflux {

// 8-bit class indices to BGR. Values beyond the palette become black.
cv::Mat ColourMask(const cv::Mat& label, const std::vector<cv::Vec3b>& palette);

// The classes' colours laid over `image` (8-bit BGR of the label's size), half and half. Pixels of
// values beyond the palette stay as they are.
cv::Mat Overlay(const cv::Mat& image, const cv::Mat& label, const std::vector<cv::Vec3b>& palette);

// Pictures (8-bit BGR) in lines under `titles`, and a legend of `class_names` below. Everything is
// scaled to the first picture's size, at least 240 pixels wide so that titles fit. InvalidArgument
// when a row has not as many pictures as there are titles.
absl::StatusOr<cv::Mat> PictureTable(const std::vector<std::string>& titles,
                                     const std::vector<std::vector<cv::Mat>>& rows,
                                     const std::vector<std::string>& class_names,
                                     const std::vector<cv::Vec3b>& palette);

struct MaskRow {
  cv::Mat image;               // 8-bit BGR
  std::vector<cv::Mat> masks;  // 8-bit class indices: ground truth, then predictions
};

// The table of images and coloured masks, a row each, under `titles` (the image's and one for each
// mask). Errors as above.
absl::StatusOr<cv::Mat> MaskPicture(const std::vector<std::string>& titles,
                                    const std::vector<MaskRow>& rows,
                                    const std::vector<std::string>& class_names,
                                    const std::vector<cv::Vec3b>& palette);

// The PNG of a BGR picture or of 8-bit indices.
std::string EncodePng(const cv::Mat& picture);

// Writes a BGR picture as PNG, whole or not at all.
absl::Status WritePng(const std::string& path, const cv::Mat& picture);

}  // namespace reflux
