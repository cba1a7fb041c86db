// What `targets.views` of a job file says. Torch-free, thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

struct ViewChoice {
  enum class Kind {
    kReplay,  // K deterministic views of an image
    kLive,    // a fresh view at every draw, nothing is stored
    kWhole,   // the teacher sees the whole image; maps of fresh views are derived
    kAuto,    // one of these, chosen when the job starts
  };
  Kind kind = Kind::kReplay;
  int64_t replay = 0;             // K; 0 for the others
  int32_t height = 0, width = 0;  // of `whole: HxW`; 0: the image's own

  // As a job file says it: "replay: 8", "live", "whole", "whole: 360x480", "auto".
  std::string ToString() const;
};

// InvalidArgument says what is allowed; K is 1..kMaxReplayedViews, sides are 8..View::kMaxSide.
absl::StatusOr<ViewChoice> ParseViews(absl::string_view text);

}  // namespace reflux
