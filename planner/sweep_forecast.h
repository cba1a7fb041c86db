// What the jobs of a sweep will cost in each mode, together and by variant. Pure arithmetic:
// torch-free, no I/O, thread-safe.
//
// The cache is filled first, once, with all that the jobs need; then the runs follow each other,
// all warm. Without a cache every run computes its targets live.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "planner/forecast.h"
#include "planner/needs_cost.h"

namespace reflux {

// Jobs whose runs cost the same.
struct SweepRow {
  std::string name;  // of the variant
  int64_t jobs = 1;
  bool reads_teacher = true;
  ForecastJob job;  // of one of them; its views count as cached
  Measured measured;
};

struct SweepRowForecast {
  std::vector<ModeForecast> modes;  // as Forecast; without a teacher the same run in each
};

struct SweepMode {
  std::string name;  // as ModeForecast
  double fill_seconds = 0;
  double run_seconds = 0;  // of all runs
  bool possible = true;
  double seconds() const { return fill_seconds + run_seconds; }
};

struct SweepForecast {
  std::vector<SweepRowForecast> rows;
  std::vector<SweepMode> modes;
  int64_t students = 0;  // jobs that read a teacher
  // The least number of such students, each saving what those of the sweep save on average, at
  // which filling what is missing takes no longer than computing live; empty: never.
  std::optional<int64_t> paying_students;
  std::string recommended, reason;
  std::vector<std::string> warnings;
};

SweepForecast MakeSweepForecast(const std::vector<SweepRow>& rows, const NeedsCost& cost);

}  // namespace reflux
