// What reflux-bench-targets measures. Torch-free.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "bench/target_values.h"

namespace reflux {

struct TargetBenchOptions {
  int32_t channels = 256;  // of a value [channels, 45, 60] in fp16: 256 are 1.4 MB, 2048 are 11 MB
  int values = 64;         // stored of each kind; all stay in the page cache
  int rounds = 15;         // every row reads every value once a round
  int threads = 2;         // calls in flight, of the rows over gRPC
  std::string scratch;     // folder for temporary data; empty: the system's
  std::string cache_program;  // reflux-cache; empty: the one beside this program
  std::string python;         // "PYTHON bench/targets_peers.py"; empty: no Python peers

  // Puts in what was left open; InvalidArgument names the option and what is allowed.
  absl::Status Resolve();
  StoredValues stored() const { return {{channels, 45, 60}, values}; }
};

}  // namespace reflux
