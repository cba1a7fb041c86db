// absl::Status <-> grpc::Status, by code and message.
#pragma once

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace reflux {

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace reflux
