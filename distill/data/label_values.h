// From the values that a label file holds to class indices. Torch-free, thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <opencv2/core/mat.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace reflux {

class LabelValues {
 public:
  // Values 0..classes-1 are the indices; the file's `ignored` value becomes `ignore_index`.
  static LabelValues Indices(int classes, int ignored, int ignore_index);
  // As `map` says, value (0..65535) -> class index or `ignore_index`, both 0..255; any other value
  // is an error.
  static LabelValues Map(const std::map<int, int>& map, int ignore_index);

  // Every value that is allowed and what it becomes.
  std::map<int, int> Entries() const;

  // `raw` is single-channel, 8 or 16 bits; the result 8-bit class indices. InvalidArgument names
  // the first pixel whose value is none of these, and how many there are, of which values.
  absl::StatusOr<cv::Mat> Apply(const cv::Mat& raw) const;

 private:
  template <typename Value>
  absl::StatusOr<cv::Mat> ApplyTo(const cv::Mat& raw) const;
  template <typename Value>
  absl::Status Complaint(const cv::Mat& raw) const;

  std::vector<int16_t> table_ = std::vector<int16_t>(65536, -1);  // -1: not allowed
  std::string allowed_;                                           // for people
};

}  // namespace reflux
