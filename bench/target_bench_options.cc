#include "bench/target_bench_options.h"

#include "bench/cache_program.h"

namespace reflux {

absl::Status TargetBenchOptions::Resolve() {
  if (channels < 1 || channels > 16384) {
    return absl::InvalidArgumentError("--channels: 1..16384");
  }
  if (values < 4 || values > 100000) return absl::InvalidArgumentError("--values: 4..100000");
  if (rounds < 1) return absl::InvalidArgumentError("--rounds: 1 or more");
  if (threads < 1 || threads > 64) return absl::InvalidArgumentError("--threads: 1..64");
  return FindCacheProgram(cache_program);
}

}  // namespace reflux
