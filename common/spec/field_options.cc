#include "common/spec/field_options.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "reflux/v1/config.pb.h"

namespace reflux {
namespace {

std::vector<std::string> SplitBar(const std::string& text) {
  return absl::StrSplit(text, '|', absl::SkipEmpty());
}

NumberRange ParseRange(const std::string& text) {
  NumberRange range;
  range.text = text;
  range.low_open = text.front() == '(';
  range.high_open = text.back() == ')';
  const std::vector<std::string> ends = absl::StrSplit(text.substr(1, text.size() - 2), ", ");
  (void)absl::SimpleAtod(ends[0], &range.low);
  (void)absl::SimpleAtod(ends[1], &range.high);
  return range;
}

std::string ScalarName(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "number";
    case FieldDescriptor::CPPTYPE_STRING:
      return "text";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "block";
    default:
      return "whole number";
  }
}

// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
int EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<int>> d(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  std::iota(d[0].begin(), d[0].end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      d[i][j] = std::min({replaced, d[i - 1][j] + 1, d[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

bool NumberRange::Contains(double x) const {
  return (low_open ? x > low : x >= low) && (high_open ? x < high : x <= high);
}

FieldFacts FactsOf(const FieldDescriptor& field) {
  const google::protobuf::FieldOptions& options = field.options();
  FieldFacts facts;
  facts.doc = options.GetExtension(v1::doc);
  facts.unit = options.GetExtension(v1::unit);
  facts.default_text = options.GetExtension(v1::default_text);
  facts.source = options.GetExtension(v1::source);
  facts.unavailable = options.GetExtension(v1::unavailable);
  facts.allowed = SplitBar(options.GetExtension(v1::allowed));
  facts.planned = SplitBar(options.GetExtension(v1::planned));
  const std::string range = options.GetExtension(v1::range);
  if (!range.empty()) facts.range = ParseRange(range);
  facts.path = options.GetExtension(v1::path);
  facts.present = options.GetExtension(v1::present);
  return facts;
}

std::string TypeName(const FieldDescriptor& field) {
  if (field.is_map()) return "map";
  if (field.is_repeated()) return absl::StrCat("list of ", ScalarName(field), "s");
  return ScalarName(field);
}

std::string NearestName(absl::string_view word, const std::vector<std::string>& candidates) {
  int best = std::numeric_limits<int>::max();
  std::string nearest;
  word = word.substr(0, 64);
  for (const std::string& candidate : candidates) {
    const int distance = EditDistance(word, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  // A third of the letters may differ: beyond that a suggestion misleads.
  const int tolerance = std::max<int>(1, (std::max(word.size(), nearest.size()) + 1) / 3);
  return best <= tolerance ? nearest : "";
}

}  // namespace reflux
