// From the measurements of reflux-bench-pace to a table and a JSON file. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "bench/pace_options.h"
#include "bench/page_cache.h"

namespace reflux {

// A loader with the smallest pace that it kept up with in each round, in milliseconds; infinite
// where the greatest was too fast.
struct PaceSeries {
  std::string name;
  std::vector<double> paces;
};

// What was measured of one tap.
struct PaceTap {
  std::string tap;
  StoredValues values;
  CachedFiles before, after;  // of all stored forms, before the first round and after the last
  std::vector<PaceSeries> rows;
};

// Medians with quartiles; "> 500" where the median is no pace that was kept, "<= 10" where it is
// the least that was tried. Ratios to .npy and LMDB within a round, none when either was at one of
// these limits in any.
std::string PaceTable(const PaceBenchOptions& options, const std::vector<PaceTap>& taps);
std::string PaceJson(const PaceBenchOptions& options, const std::vector<PaceTap>& taps);

}  // namespace reflux
