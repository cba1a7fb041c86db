// A reflux-cache process of our own, on a loopback port, with no teacher behind it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "bench/child_process.h"

namespace reflux {

// Runs `program` on the cache in `directory` and waits until it serves; errors of ChildProcess.
absl::StatusOr<std::unique_ptr<ChildProcess>> StartCacheProcess(const std::string& program,
                                                                const std::string& directory);

}  // namespace reflux
