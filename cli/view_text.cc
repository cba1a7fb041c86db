#include "cli/view_text.h"

#include <cstdint>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace reflux {
namespace {

constexpr char kShrink[] = "/shrink:";

absl::Status Wrong(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("view '", text, "': ", why,
                   "; written as RESIZED[/CROP+TOP+LEFT][/flip][/shrink:2|4|8], e.g. "
                   "720x960/360x480+12+40/flip (height x width)"));
}

// "360x480" or "360x480+12+40" as its numbers; false unless there are `out.size()` of them.
bool ParseNumbers(absl::string_view text, std::vector<int32_t*> out) {
  if (absl::StrContains(text, '-')) return false;
  const std::vector<absl::string_view> words = absl::StrSplit(text, absl::ByAnyChar("x+"));
  if (words.size() != out.size()) return false;
  for (size_t i = 0; i < words.size(); ++i) {
    if (!absl::SimpleAtoi(words[i], out[i])) return false;
  }
  return true;
}

}  // namespace

std::string ViewText(const View& view) {
  return absl::StrCat(view.resized_height, "x", view.resized_width, "/", view.crop_height, "x",
                      view.crop_width, "+", view.crop_y, "+", view.crop_x, view.flip ? "/flip" : "",
                      view.decode_shrink == 1 ? "" : absl::StrCat(kShrink, view.decode_shrink));
}

absl::StatusOr<View> ParseView(absl::string_view text) {
  View view;
  absl::string_view rest = text;
  for (const int shrink : {2, 4, 8}) {
    if (absl::ConsumeSuffix(&rest, absl::StrCat(kShrink, shrink))) view.decode_shrink = shrink;
  }
  view.flip = absl::ConsumeSuffix(&rest, "/flip");
  const std::vector<absl::string_view> parts = absl::StrSplit(rest, '/');
  if (parts.size() > 2 || !ParseNumbers(parts[0], {&view.resized_height, &view.resized_width})) {
    return Wrong(text, "not a view");
  }
  view.crop_height = view.resized_height;
  view.crop_width = view.resized_width;
  if (parts.size() == 2 &&
      !ParseNumbers(parts[1], {&view.crop_height, &view.crop_width, &view.crop_y, &view.crop_x})) {
    return Wrong(text, "the crop is not four numbers");
  }
  const absl::Status valid = view.Validate();
  if (!valid.ok()) return Wrong(text, valid.message());
  return view;
}

}  // namespace reflux
