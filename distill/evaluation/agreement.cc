#include "distill/evaluation/agreement.h"

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "absl/strings/str_cat.h"

namespace reflux {

absl::Status Agreement::AddReference(const cv::Mat& classes) {
  if (classes.empty() || classes.type() != CV_8UC1)
    return absl::InvalidArgumentError("predictions are 8-bit class indices");
  std::vector<uint8_t> encoded;
  cv::imencode(".png", classes, encoded, {cv::IMWRITE_PNG_COMPRESSION, 1});
  references_.push_back(std::move(encoded));
  return absl::OkStatus();
}

absl::Status Agreement::Compare(size_t index, const cv::Mat& classes) {
  if (index >= references_.size())
    return absl::InvalidArgumentError(absl::StrCat("the reference has no image ", index));
  const cv::Mat reference = cv::imdecode(references_[index], cv::IMREAD_UNCHANGED);
  if (reference.size != classes.size || reference.type() != classes.type())
    return absl::InvalidArgumentError("the reference's image has another size");
  pixels_ += static_cast<int64_t>(classes.total());
  same_ += cv::countNonZero(reference == classes);
  return absl::OkStatus();
}

double Agreement::Share() const {
  return pixels_ == 0 ? 0 : static_cast<double>(same_) / static_cast<double>(pixels_);
}

}  // namespace reflux
