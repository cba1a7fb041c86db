#include "cache/admin_service.h"

#include <vector>

#include "cache/set_record.h"
#include "common/rpc/status.h"

namespace reflux {
namespace {

class Service : public v1::CacheAdminService::Service {
 public:
  Service(TargetStore& store, const CachingSource& source) : store_(store), source_(source) {}

  grpc::Status Stats(grpc::ServerContext*, const v1::CacheStatsRequest*,
                     v1::CacheStats* answer) override {
    const StoreStats store = store_.stats();
    const CacheCounts counts = source_.counts();
    answer->set_entries(store.entries);
    answer->set_live_bytes(store.live_bytes);
    answer->set_capacity_bytes(store.capacity_bytes);
    answer->set_free_disk_bytes(store.free_disk_bytes);
    answer->set_directory(store.directory);
    answer->set_storing(store.storing);
    answer->set_hits(counts.hits);
    answer->set_misses(counts.misses);
    answer->set_fills(counts.fills);
    answer->set_corrupted(counts.corrupted);
    answer->set_passed_through(counts.passed_through);
    return grpc::Status::OK;
  }

  grpc::Status ListTargetSets(grpc::ServerContext*, const v1::ListTargetSetsRequest*,
                              v1::ListTargetSetsResponse* answer) override {
    const absl::StatusOr<std::vector<StoredSet>> sets = store_.ListSets();
    if (!sets.ok()) return ToGrpc(sets.status());
    for (const StoredSet& set : *sets) *answer->add_sets() = ToProto(set);
    return grpc::Status::OK;
  }

  grpc::Status Verify(grpc::ServerContext* context, const v1::VerifyRequest*,
                      v1::VerifyResponse* answer) override {
    const FetchContext until{.deadline = absl::FromChrono(context->deadline())};
    const absl::StatusOr<VerifyReport> report = store_.Verify(until);
    if (!report.ok()) return ToGrpc(report.status());
    answer->set_entries(report->entries);
    answer->set_bytes(report->bytes);
    answer->set_corrupted(report->corrupted);
    return grpc::Status::OK;
  }

 private:
  TargetStore& store_;
  const CachingSource& source_;
};

}  // namespace

std::unique_ptr<v1::CacheAdminService::Service> MakeCacheAdminService(TargetStore& store,
                                                                      const CachingSource& source) {
  return std::make_unique<Service>(store, source);
}

}  // namespace reflux
