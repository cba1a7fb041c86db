// What it takes to compute and keep what jobs need together. Pure arithmetic: torch-free, no I/O,
// thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "planner/coverage.h"
#include "planner/needs_union.h"
#include "planner/view_costs.h"

namespace reflux {

struct NeedsCost {
  int64_t targets = 0;
  double bytes = 0;  // of all targets as stored
  double missing_bytes = 0;
  int64_t missing_views = 0;  // forwards of one view that the missing targets take
  double fill_seconds = 0;    // of the teachers alone, one after the other
};

// `coverage` is of `parts`. A fill is as fast as the teacher or, where that is slower, the drive
// writes (bytes a second; 0: not measured).
NeedsCost CostOf(const std::vector<NeedsPart>& parts, const Coverage& coverage,
                 const ViewCosts& costs, double drive_write);

}  // namespace reflux
