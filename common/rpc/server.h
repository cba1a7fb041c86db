// A gRPC server as all our programs run it: health and reflection on, one listening address, a
// clear error when the port is taken. Thread-safe after Start.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace reflux {

struct RpcServerOptions {
  // host:port; port 0 picks a free one. Only loopback hosts are accepted without `insecure`, since
  // there is no TLS in this version.
  std::string address = "127.0.0.1:0";
  bool insecure = false;
  // Tried first when `address` has port 0: the port that this role had before a restart.
  int preferred_port = 0;
  int max_receive_bytes = 4 << 20;
};

class RpcServer {
 public:
  // Serves `services` (not owned; they must outlive the server). Errors: InvalidArgument for a bad
  // or non-loopback address, AlreadyExists when the port is in use.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      const RpcServerOptions& options, const std::vector<grpc::Service*>& services);
  ~RpcServer();

  // host:port with the real port.
  const std::string& address() const { return address_; }
  int port() const { return port_; }
  // The answer of grpc.health.v1.Health for the server as a whole. Not serving until set.
  void SetServing(bool serving);
  bool serving() const { return serving_; }
  // Refuses new calls, lets running ones end until `grace` has passed, then cancels them.
  // Idempotent.
  void Shutdown(absl::Duration grace);

 private:
  RpcServer() = default;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  int port_ = 0;
  std::atomic<bool> serving_ = false;
};

}  // namespace reflux
