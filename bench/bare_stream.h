// The bare gRPC stream that the target path is compared with: the messages of TargetService.Fetch,
// from one value in memory.
#pragma once

#include <cstdint>
#include <string>

namespace reflux {

// Serves values of `value_bytes` on a free loopback port, whose address it writes to
// `endpoint_file`, until it gets SIGTERM. Returns an exit code.
int ServeBareStream(int64_t value_bytes, const std::string& endpoint_file);

}  // namespace reflux
