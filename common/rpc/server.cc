#include "common/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include <mutex>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/listen_error.h"

namespace reflux {
namespace {

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "[::1]" || host.substr(0, 4) == "127.";
}

// Once per process: both are gRPC plug-ins that attach to servers built later.
void EnableHealthAndReflection() {
  static std::once_flag once;
  std::call_once(once, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

std::unique_ptr<grpc::Server> Listen(const std::string& host, int port,
                                     const RpcServerOptions& options,
                                     const std::vector<grpc::Service*>& services, int* bound) {
  grpc::ServerBuilder builder;
  // Without this a second process could listen on the same port unnoticed.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(options.max_receive_bytes);
  builder.AddListeningPort(absl::StrCat(host, ":", port), grpc::InsecureServerCredentials(), bound);
  for (grpc::Service* service : services) builder.RegisterService(service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (*bound == 0) server.reset();
  return server;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(
    const RpcServerOptions& options, const std::vector<grpc::Service*>& services) {
  EnableHealthAndReflection();
  const size_t colon = options.address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(options.address.substr(colon + 1), &port) ||
      port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen address '", options.address, "' is not host:port"));
  }
  const std::string host = options.address.substr(0, colon);
  if (!options.insecure && !IsLoopback(host)) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen address '", options.address,
                     "' is not loopback: this version has no TLS; say --insecure to listen there"));
  }
  auto result = std::unique_ptr<RpcServer>(new RpcServer);
  if (port == 0 && options.preferred_port > 0) {
    result->server_ = Listen(host, options.preferred_port, options, services, &result->port_);
  }
  if (result->server_ == nullptr) {
    result->server_ = Listen(host, port, options, services, &result->port_);
  }
  if (result->server_ == nullptr) return CannotListenError(options.address);
  result->address_ = absl::StrCat(host, ":", result->port_);
  result->SetServing(false);
  return result;
}

RpcServer::~RpcServer() {
  if (server_ != nullptr) Shutdown(absl::ZeroDuration());
}

void RpcServer::SetServing(bool serving) {
  serving_ = serving;
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(serving);
}

void RpcServer::Shutdown(absl::Duration grace) {
  SetServing(false);
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
}

}  // namespace reflux
