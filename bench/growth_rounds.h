// What reflux-bench-growth measures: whether a cache server keeps its speed and its memory as its
// entries and its students grow in number. Torch-free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/target_values.h"

namespace reflux {

struct GrowthOptions {
  std::string dir;        // folder below which the stores are made and removed again
  int32_t channels = 16;  // of a value [channels, 16, 16] in fp16: 16 are 8 kB
  std::vector<int> entries = {100'000, 1'000'000};
  std::vector<int> students = {1, 4, 16, 64};
  int64_t reads = 65'536;  // values of a row in a round, by all its students together
  int rounds = 5;
  std::string cache_program;  // reflux-cache; empty: the one beside this program

  // Puts in what was left open; InvalidArgument names the option and what is allowed.
  absl::Status Resolve();
  StoredValues stored(int count) const { return {{channels, 16, 16}, count}; }
  // Values that a student asks for in a call.
  static constexpr int kCallValues = 16;
};

// One number of students at a server with one number of entries.
struct GrowthRow {
  int entries = 0, students = 0;
  // Of each round.
  std::vector<double> seconds, server_cpu_seconds;
  int64_t resident_bytes = 0;  // of the server after the last, without pages of files
};

// By entries, then by students. Students are threads with a connection each, which ask for values
// at random; rows take turns within a round. A value that is missing is an error.
absl::StatusOr<std::vector<GrowthRow>> MeasureGrowth(const GrowthOptions& options);

// Rates, and their ratios to those of the fewest entries with as many students.
std::string GrowthTable(const GrowthOptions& options, const std::vector<GrowthRow>& rows);
std::string GrowthJson(const GrowthOptions& options, const std::vector<GrowthRow>& rows);

}  // namespace reflux
