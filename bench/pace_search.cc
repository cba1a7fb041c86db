#include "bench/pace_search.h"

#include <cmath>
#include <limits>

#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<double> SmallestPace(const PaceRange& range,
                                    const std::function<absl::StatusOr<bool>(double)>& keeps_up) {
  REFLUX_ASSIGN_OR_RETURN(const bool least_passes, keeps_up(range.least));
  if (least_passes) return range.least;
  double fails = range.least, passes = range.most;
  bool seen_to_pass = false;
  while (passes / fails > range.ratio) {
    const double middle = std::sqrt(fails * passes);
    REFLUX_ASSIGN_OR_RETURN(const bool good, keeps_up(middle));
    (good ? passes : fails) = middle;
    seen_to_pass |= good;
  }
  if (seen_to_pass) return passes;
  REFLUX_ASSIGN_OR_RETURN(const bool most_passes, keeps_up(range.most));
  return most_passes ? range.most : std::numeric_limits<double>::infinity();
}

}  // namespace reflux
