#include "common/targets/view_choice.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/targets/target.h"

namespace reflux {
namespace {

using Kind = ViewChoice::Kind;
constexpr int32_t kMinSide = 8;

bool ReadSize(absl::string_view text, ViewChoice& choice) {
  const std::vector<absl::string_view> sides = absl::StrSplit(text, 'x');
  const auto ok = [](int32_t side) { return side >= kMinSide && side <= View::kMaxSide; };
  return sides.size() == 2 && absl::SimpleAtoi(sides[0], &choice.height) &&
         absl::SimpleAtoi(sides[1], &choice.width) && ok(choice.height) && ok(choice.width);
}

}  // namespace

std::string ViewChoice::ToString() const {
  switch (kind) {
    case Kind::kLive:
      return "live";
    case Kind::kAuto:
      return "auto";
    case Kind::kWhole:
      return height > 0 ? absl::StrCat("whole: ", height, "x", width) : "whole";
    case Kind::kReplay:
      break;
  }
  return absl::StrCat("replay: ", replay);
}

absl::StatusOr<ViewChoice> ParseViews(absl::string_view text) {
  const absl::string_view words = absl::StripAsciiWhitespace(text);
  if (words == "live") return ViewChoice{.kind = Kind::kLive};
  if (words == "whole") return ViewChoice{.kind = Kind::kWhole};
  if (words == "auto") return ViewChoice{.kind = Kind::kAuto};
  ViewChoice choice;
  absl::string_view rest = words;
  if (absl::ConsumePrefix(&rest, "replay:") && absl::SimpleAtoi(rest, &choice.replay) &&
      choice.replay >= 1 && choice.replay <= kMaxReplayedViews) {
    return choice;
  }
  rest = words;
  choice = {.kind = Kind::kWhole};
  if (absl::ConsumePrefix(&rest, "whole:") && ReadSize(absl::StripAsciiWhitespace(rest), choice))
    return choice;
  return absl::InvalidArgumentError(
      absl::StrCat("`", text, "` is not allowed; `replay: K` with K from 1 to ", kMaxReplayedViews,
                   ", `whole`, `whole: HxW` (pixels, ", kMinSide, " to ", View::kMaxSide,
                   "), `live` or `auto`"));
}

}  // namespace reflux
