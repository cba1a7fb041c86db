// Views as people write them. Thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/targets/target.h"

namespace reflux {

// "720x960/360x480+12+40/flip": the image resized to 720 x 960 (height x width), of it the window
// of 360 x 480 that begins at row 12 and column 40, mirrored. The window may be left out (all of
// it), and so may "/flip". "/shrink:2" (4, 8) at the end: a JPEG decoded at half its sides.
std::string ViewText(const View& view);
// InvalidArgument says what is wrong and what a view looks like.
absl::StatusOr<View> ParseView(absl::string_view text);

}  // namespace reflux
