#include "bench/target_bench_options.h"

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace reflux {

absl::Status TargetBenchOptions::Resolve() {
  if (channels < 1 || channels > 16384) {
    return absl::InvalidArgumentError("--channels: 1..16384");
  }
  if (values < 4 || values > 100000) return absl::InvalidArgumentError("--values: 4..100000");
  if (rounds < 1) return absl::InvalidArgumentError("--rounds: 1 or more");
  if (threads < 1 || threads > 64) return absl::InvalidArgumentError("--threads: 1..64");
  namespace fs = std::filesystem;
  if (scratch.empty()) scratch = fs::temp_directory_path().string();
  if (cache_program.empty()) {
    cache_program = (fs::read_symlink("/proc/self/exe").parent_path() / "reflux-cache").string();
  }
  if (!fs::exists(cache_program)) {
    return absl::InvalidArgumentError(absl::StrCat("--cache-program: no ", cache_program));
  }
  return absl::OkStatus();
}

}  // namespace reflux
