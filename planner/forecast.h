// What a job will cost in each mode, from what was measured of it on this machine. Pure arithmetic:
// torch-free, no I/O, thread-safe.
//
// A mode is where the targets come from: `live` (the teacher computes each), or replayed views from
// a cache, embedded in the student's process or served over gRPC. While a cache lacks a view, the
// step that takes it costs what a live step costs and the writing of its targets; afterwards a step
// costs what was measured warm, or what the drive needs to read its targets when they do not fit in
// memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace reflux {

// The name of the mode that keeps nothing.
inline constexpr char kLiveMode[] = "live";

struct ForecastJob {
  int64_t images = 0;         // of the training split
  int64_t steps = 0;          // of the run
  int64_t global_batch = 1;   // images a step
  int64_t replay = 0;         // views an image; 0: live
  int64_t views = 0;          // distinct (image, view) pairs that the run takes
  int64_t missing_views = 0;  // of these, with a target that the cache lacks
  // Shares of what a missing view lacks; below 1 where the cache has some teachers or taps of it.
  double missing_time = 1;   // ... of its teachers' time
  double missing_bytes = 1;  // ... of its bytes
  int64_t students = 1;      // processes of the job
};

// Seconds and bytes; 0 for what was not measured, but for `warm_step` and `live_step`, which must
// be.
struct Measured {
  double view_bytes = 0;    // all targets of one view, of all teachers, as stored
  double view_seconds = 0;  // the teachers alone: one view computed by each, and stored
  double alone_step = 0;    // a step without teacher
  double live_step = 0;     // a step whose targets are computed in the process
  double warm_step = 0;     // a step whose targets are in the embedded cache, page cache warm
  double served_step = 0;   // a step whose targets come from a cache server on this machine
  double drive_write = 0;   // bytes a second past the page cache
  double drive_read = 0;
  double memory_bytes = 0;  // that may hold pages of files; without it all is taken to fit
  double free_disk_bytes = 0;
};

struct ModeForecast {
  std::string name;            // "live", "replay embedded", "replay served"
  double step_seconds = 0;     // once everything is stored
  double filling_seconds = 0;  // a step whose views are all missing; 0: there is none
  double run_seconds = 0;      // the whole run, beginning with what is stored now
  bool possible = true;        // several students cannot embed one cache
};

struct Forecast {
  double cache_bytes = 0;  // of all views of the run
  double missing_bytes = 0;
  double fill_seconds = 0;   // `reflux fill` now; 0 when nothing is missing
  bool drive_bound = false;  // targets do not fit in memory and the drive is slower than the step
  std::vector<ModeForecast> modes;
  // The least number of runs over the same views at which filling and replaying takes no longer
  // than computing live; empty: never.
  std::optional<int64_t> paying_runs;
  // Passes over the images from which it pays in a single run; 0: never.
  double paying_epochs = 0;
  std::string recommended;  // name of the possible mode with the shortest run
  std::string reason;
  std::vector<std::string> warnings;
};

// `job.replay` 0 gives `live` alone.
Forecast MakeForecast(const ForecastJob& job, const Measured& measured);

// The forecast of a fill under way, renewed each minute.
class FillForecast {
 public:
  // `planned_rate`: targets a second, 0 if none was planned.
  FillForecast(int64_t targets, double planned_rate)
      : targets_(targets), expected_rate_(planned_rate) {}
  // `seconds` since the fill began. A line when a minute has passed since the last one: the time
  // left, and what changed.
  std::optional<std::string> Update(double seconds, int64_t held);

 private:
  const int64_t targets_;
  double expected_rate_;
  double last_seconds_ = -1;
  int64_t last_held_ = 0;
};

}  // namespace reflux
