// Calls of gRPC's own services (health, reflection), whose stubs no package here brings.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace reflux {

// The first answer of `method` ("/package.Service/Method", unary or streaming) of the server at
// host:port, to one request; both in the wire format of Protobuf. Waits 20 s at most.
absl::StatusOr<std::string> RawCall(const std::string& address, const std::string& method,
                                    const std::string& request);

// Whether the server as a whole says that it serves (grpc.health.v1.Health).
absl::StatusOr<bool> IsServing(const std::string& address);

// The answer of server reflection to "list_services": the names stand in it as they are.
absl::StatusOr<std::string> ListedServices(const std::string& address);

}  // namespace reflux
