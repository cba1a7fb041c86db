// What reflux-bench-pace measures. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/target_values.h"

namespace reflux {

struct PaceBenchOptions {
  std::vector<std::string> taps = {"logits", "aspp", "c4"};  // measured one after the other
  int batch = 16;                                            // images, each with one map
  std::string size = "512x1024";  // of the images, HxW; maps have an eighth of each side
  int values = 64;                // distinct maps stored of each tap
  int rounds = 5;                 // in each, every row looks for its pace once
  int steps = 20;                 // of one try of a pace
  int threads = 2;                // loader threads, as train.loader_threads
  int depth = 4;                  // batches made or held ahead, as train.prefetch_depth
  double min_ms = 10, max_ms = 500;
  bool huge_pages = false;    // what batches lie in; a tensor has plain ones unless told otherwise
  std::string scratch;        // folder for temporary data; empty: the system's
  std::string cache_program;  // reflux-cache; empty: the one beside this program
  std::string python;         // "PYTHON bench/pace_peers.py"; empty: no Python peers

  // Puts in what was left open; InvalidArgument names the option and what is allowed.
  absl::Status Resolve();
  // Of resolved options: the maps of a tap, 16-bit.
  absl::StatusOr<StoredValues> stored(const std::string& tap) const;
};

// A loader keeps up with a pace when the student takes at most this much longer than its steps.
inline constexpr double kMaxStall = 0.05;

}  // namespace reflux
