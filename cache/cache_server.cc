#include "cache/cache_server.h"

#include "cache/admin_service.h"
#include "cache/archive_service.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/server_list.h"
#include "common/targets/pooled_source.h"

namespace reflux {
namespace {

absl::StatusOr<std::unique_ptr<TargetSource>> MakeUpstream(const std::string& teacher,
                                                           MetricRegistry* registry) {
  if (teacher.empty()) return MakeAbsentTeacher();
  REFLUX_RETURN_IF_ERROR(ListEndpoints(teacher).status());
  if (registry == nullptr) return MakePooledRemoteSource({.endpoint = teacher}, {}, {});
  return MakePooledRemoteSource({.endpoint = teacher},
                                RemoteSourceMetrics::Register(*registry, "cache"),
                                PooledSourceMetrics::Register(*registry, "cache"));
}

absl::StatusOr<std::unique_ptr<TargetStore>> OpenStore(const CacheServerOptions& options) {
  if (options.rados.has_value()) return OpenRadosStore(*options.rados);
  return RocksTargetStore::Open(options.store);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CacheServer>> CacheServer::Start(const CacheServerOptions& options,
                                                                MetricRegistry* registry) {
  REFLUX_RETURN_IF_ERROR(options.source.Validate());
  auto server = std::unique_ptr<CacheServer>(new CacheServer);
  REFLUX_ASSIGN_OR_RETURN(server->store_, OpenStore(options));
  REFLUX_ASSIGN_OR_RETURN(server->upstream_, MakeUpstream(options.teacher, registry));
  server->source_ = MakeCachingSource(
      *server->store_, *server->upstream_, options.source,
      registry == nullptr ? CachingSourceMetrics{} : CachingSourceMetrics::Register(*registry));
  TargetServiceOptions service = options.service;
  service.storing = &server->source_->storing();
  server->targets_ =
      MakeTargetService(*server->source_, service,
                        registry == nullptr ? TargetServiceMetrics{}
                                            : TargetServiceMetrics::Register(*registry, "cache"));
  server->admin_ = MakeCacheAdminService(*server->store_, *server->source_);
  server->archive_ = MakeArchiveService(*server->store_);
  const std::string& file = options.endpoint_file;
  REFLUX_ASSIGN_OR_RETURN(
      server->rpc_,
      RpcServer::Start({.address = options.listen,
                        .insecure = options.insecure,
                        .preferred_port = file.empty() ? 0 : PublishedPort(file),
                        .max_receive_bytes = kTargetServiceMaxReceiveBytes},
                       {server->targets_.get(), server->admin_.get(), server->archive_.get()}));
  if (!file.empty()) REFLUX_RETURN_IF_ERROR(PublishEndpoint(file, server->rpc_->address()));
  server->rpc_->SetServing(true);
  return server;
}

CacheServer::~CacheServer() = default;

}  // namespace reflux
