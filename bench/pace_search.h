// The smallest pace that a loader keeps up with. Torch-free.
#pragma once

#include <functional>

#include "absl/status/statusor.h"

namespace reflux {

struct PaceRange {
  double least = 0, most = 0;  // of the same unit; 0 < least < most
  double ratio = 1.04;         // how near the answer is to a pace that fails
};

// A pace that passes, at most `ratio` above one that fails; `least` if it passes, infinity if
// `most` fails. Tries middles by ratio, so that few tries are long ones. `keeps_up` is taken to be
// monotonic. Its errors end the search.
absl::StatusOr<double> SmallestPace(const PaceRange& range,
                                    const std::function<absl::StatusOr<bool>(double)>& keeps_up);

}  // namespace reflux
