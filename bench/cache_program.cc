#include "bench/cache_program.h"

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace reflux {

absl::Status FindCacheProgram(std::string& program) {
  namespace fs = std::filesystem;
  if (program.empty()) program = fs::read_symlink("/proc/self/exe").parent_path() / "reflux-cache";
  if (fs::exists(program)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      program, " does not exist: build reflux-cache, or name it with --cache-program"));
}

}  // namespace reflux
