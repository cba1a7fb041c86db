// absl::Status <-> grpc::Status: code, message, and when a refused call is worth another try.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace reflux {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// A RESOURCE_EXHAUSTED status that carries the time after which the server expects to have room. On
// the wire it is the call's error details (reflux.v1.RetryInfo, a message of the protocol manual).
absl::Status BusyError(absl::string_view message, absl::Duration retry_after);
// Zero when the status carries none.
absl::Duration RetryAfter(const absl::Status& status);

}  // namespace reflux
