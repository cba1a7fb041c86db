#include "bench/cache_process.h"

#include "absl/strings/str_cat.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<ChildProcess>> StartCacheProcess(const std::string& program,
                                                                const std::string& directory) {
  const std::string endpoint_file = absl::StrCat(directory, ".endpoint");
  return ChildProcess::Start({program, "--dir", directory, "--endpoint-file", endpoint_file,
                              "--min-free-disk-gib", "0", "--log-level", "warn"},
                             endpoint_file);
}

}  // namespace reflux
