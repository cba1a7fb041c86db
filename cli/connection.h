// Calls to servers as short-lived clients make them.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/rpc/status.h"

namespace reflux {

// --server, else $REFLUX_SERVER, else the endpoint file that the orchestrator of this user writes.
std::string OrchestratorEndpoint(const std::string& flag);

// A channel to "host:port" or "@FILE". Errors say what to start.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const std::string& endpoint);

// The status with the endpoint in its message, when the server could not be reached.
absl::Status WithEndpoint(const absl::Status& status, const std::string& endpoint);

// A message as JSON with its field names as they are, one line or indented.
std::string MessageJson(const google::protobuf::Message& message, bool indented);

// One unary call: connects, calls `method` of a stub of `Service`, waits `timeout` at most.
template <typename Service, typename Request, typename Response>
absl::StatusOr<Response> Call(const std::string& endpoint,
                              grpc::Status (Service::Stub::*method)(grpc::ClientContext*,
                                                                    const Request&, Response*),
                              const Request& request, absl::Duration timeout = absl::Seconds(20)) {
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, Connect(endpoint));
  const std::unique_ptr<typename Service::Stub> stub = Service::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  Response response;
  const absl::Status status = FromGrpc((stub.get()->*method)(&context, request, &response));
  if (!status.ok()) return WithEndpoint(status, endpoint);
  return response;
}

}  // namespace reflux
