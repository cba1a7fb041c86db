// The bare gRPC stream that the target path is compared with: the messages of TargetService.Fetch,
// from one value in memory.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace reflux {

// Serves values of `value_bytes` on a free loopback port, whose address it writes to
// `endpoint_file`, until it gets SIGTERM. Errors: those of starting and publishing.
absl::Status ServeBareStream(int64_t value_bytes, const std::string& endpoint_file);

}  // namespace reflux
