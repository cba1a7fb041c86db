// The cache server: TargetService, CacheAdminService and TargetArchiveService over a store, reading
// through to a teacher server.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "cache/caching_source.h"
#include "cache/rados/rados_store.h"
#include "cache/rocks_target_store.h"
#include "common/metrics/registry.h"
#include "common/rpc/server.h"
#include "common/targets/target_service.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {

struct CacheServerOptions {
  RocksTargetStoreOptions store;
  // Instead of `store`: a store that several servers share.
  std::optional<RadosStoreOptions> rados;
  CachingSourceOptions source;
  TargetServiceOptions service;
  // Teacher servers, as for ListEndpoints (common/rpc/server_list.h); empty: only what is stored is
  // served.
  std::string teacher;
  std::string listen = "127.0.0.1:0";
  bool insecure = false;  // listen beyond loopback without TLS
  // The server's address is written here; with port 0 the port found here is tried first.
  std::string endpoint_file;
};

class CacheServer {
 public:
  // Serves when it returns. `registry` may be null; it must outlive the server. Errors: of the
  // store's Open, of ListEndpoints, of RpcServer::Start; a teacher that is away is none.
  static absl::StatusOr<std::unique_ptr<CacheServer>> Start(const CacheServerOptions& options,
                                                            MetricRegistry* registry);
  ~CacheServer();

  const std::string& address() const { return rpc_->address(); }
  const TargetStore& store() const { return *store_; }
  CacheCounts counts() const { return source_->counts(); }
  // Refuses new calls, lets running ones end until `grace` has passed, then cancels them.
  void Shutdown(absl::Duration grace) { rpc_->Shutdown(grace); }

 private:
  CacheServer() = default;

  // In the order of their dependence: the last goes first.
  std::unique_ptr<TargetStore> store_;
  std::unique_ptr<TargetSource> upstream_;
  std::unique_ptr<CachingSource> source_;
  std::unique_ptr<v1::TargetService::Service> targets_;
  std::unique_ptr<v1::CacheAdminService::Service> admin_;
  std::unique_ptr<v1::TargetArchiveService::Service> archive_;
  std::unique_ptr<RpcServer> rpc_;
};

}  // namespace reflux
