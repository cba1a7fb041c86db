#include "distill/data/label_values.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

constexpr size_t kNamedValues = 8;

// "0, 3, 7 and 12 more"
template <typename Values>
std::string FirstOf(const Values& values) {
  const std::vector<int> all(values.begin(), values.end());
  const size_t shown = std::min(all.size(), kNamedValues);
  std::string text = absl::StrJoin(all.begin(), all.begin() + shown, ", ");
  if (shown < all.size()) absl::StrAppend(&text, " and ", all.size() - shown, " more");
  return text;
}

}  // namespace

LabelValues LabelValues::Indices(int classes, int ignored, int ignore_index) {
  LabelValues values;
  for (int i = 0; i < classes; ++i) values.table_[i] = static_cast<int16_t>(i);
  values.table_[ignored] = static_cast<int16_t>(ignore_index);
  values.allowed_ = absl::StrCat("0..", classes - 1, " and ", ignored, " (void)");
  return values;
}

LabelValues LabelValues::Map(const std::map<int, int>& map, int ignore_index) {
  LabelValues values;
  std::vector<int> classes, ignored;
  for (const auto& [value, index] : map) {
    values.table_[value] = static_cast<int16_t>(index);
    (index == ignore_index ? ignored : classes).push_back(value);
  }
  values.allowed_ = FirstOf(classes);
  if (!ignored.empty()) absl::StrAppend(&values.allowed_, ", and as void ", FirstOf(ignored));
  return values;
}

std::map<int, int> LabelValues::Entries() const {
  std::map<int, int> entries;
  for (size_t value = 0; value < table_.size(); ++value) {
    if (table_[value] >= 0) entries.emplace(static_cast<int>(value), table_[value]);
  }
  return entries;
}

absl::StatusOr<cv::Mat> LabelValues::Apply(const cv::Mat& raw) const {
  if (raw.type() == CV_8UC1) return ApplyTo<uint8_t>(raw);
  if (raw.type() == CV_16UC1) return ApplyTo<uint16_t>(raw);
  return absl::InvalidArgumentError("a label has one channel of 8 or 16 bits");
}

template <typename Value>
absl::StatusOr<cv::Mat> LabelValues::ApplyTo(const cv::Mat& raw) const {
  cv::Mat classes(raw.size(), CV_8UC1);
  int lowest = 0;
  for (int y = 0; y < raw.rows; ++y) {
    const Value* from = raw.ptr<Value>(y);
    uint8_t* to = classes.ptr<uint8_t>(y);
    for (int x = 0; x < raw.cols; ++x) {
      const int16_t index = table_[from[x]];
      lowest = std::min<int>(lowest, index);
      to[x] = static_cast<uint8_t>(index);
    }
  }
  if (lowest < 0) return Complaint<Value>(raw);
  return classes;
}

template <typename Value>
absl::Status LabelValues::Complaint(const cv::Mat& raw) const {
  cv::Point first(-1, -1);
  int64_t count = 0;
  std::set<int> bad;
  for (int y = 0; y < raw.rows; ++y) {
    for (int x = 0; x < raw.cols; ++x) {
      const int value = raw.at<Value>(y, x);
      if (table_[value] >= 0) continue;
      if (count++ == 0) first = {x, y};
      bad.insert(value);
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "label value ", raw.at<Value>(first), " at row ", first.y, ", column ", first.x, " (", count,
      " pixels hold values that are no class: ", FirstOf(bad), "); allowed are ", allowed_));
}

}  // namespace reflux
