// How often networks say the same of the same pixels. Torch-free, not thread-safe.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "absl/status/status.h"

namespace reflux {

// Compares predictions with those of a reference (a student's with its teacher's), image by image;
// no labels are needed. The reference's are kept compressed without loss.
class Agreement {
 public:
  // 8-bit classes of the reference for the next image.
  absl::Status AddReference(const cv::Mat& classes);
  // Those of another network for image `index` of the reference's. InvalidArgument for an image
  // that the reference has not, or of another size.
  absl::Status Compare(size_t index, const cv::Mat& classes);
  // Begins with another network.
  void Reset() { same_ = pixels_ = 0; }

  // Pixels of equal class over all, since the last Reset; 0 if there were none.
  double Share() const;

 private:
  std::vector<std::vector<uint8_t>> references_;  // PNG
  int64_t same_ = 0, pixels_ = 0;
};

}  // namespace reflux
