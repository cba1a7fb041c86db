// The job and the machine that forecasts and advice are tested on.
#pragma once

#include "planner/forecast.h"

namespace reflux {

inline constexpr double kMega = 1e6, kGiga = 1e9;

// 100 images in steps of 10, 8 views each, 40 epochs: 400 steps, 800 views of 1 MB. A live step
// takes 3 s, a warm one 1 s.
inline ForecastJob Job() {
  return {.images = 100,
          .steps = 400,
          .global_batch = 10,
          .replay = 8,
          .views = 800,
          .missing_views = 800};
}
inline Measured Machine() {
  return {.view_bytes = kMega,
          .view_seconds = 0.2,
          .alone_step = 0.9,
          .live_step = 3,
          .warm_step = 1,
          .served_step = 1.1,
          .drive_write = 0.5 * kGiga,
          .drive_read = kGiga,
          .memory_bytes = 16 * kGiga,
          .free_disk_bytes = 100 * kGiga};
}

}  // namespace reflux
