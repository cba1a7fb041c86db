#include "cache/inventory.h"

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cache/memory_target_store.h"
#include "cache/rocks_target_store.h"
#include "cache/set_record.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/status.h"
#include "common/targets/wire.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(30);

class StoreInventory : public CacheInventory {
 public:
  explicit StoreInventory(TargetStore& store) : store_(store) {}
  explicit StoreInventory(std::unique_ptr<TargetStore> store)
      : owned_(std::move(store)), store_(*owned_) {}

  absl::StatusOr<std::vector<bool>> Held(const TargetRequest& request) override {
    REFLUX_RETURN_IF_ERROR(request.Validate());
    return HeldIn(store_, request);
  }
  absl::StatusOr<std::vector<StoredSet>> Sets() override { return store_.ListSets(); }
  absl::StatusOr<StoreStats> Stats() override { return store_.stats(); }

 private:
  std::unique_ptr<TargetStore> owned_;
  TargetStore& store_;
};

class RemoteInventory : public CacheInventory {
 public:
  explicit RemoteInventory(std::string endpoint) : endpoint_(std::move(endpoint)) {}

  absl::StatusOr<std::vector<bool>> Held(const TargetRequest& request) override;
  absl::StatusOr<std::vector<StoredSet>> Sets() override;
  absl::StatusOr<StoreStats> Stats() override;

 private:
  using Stub = v1::CacheAdminService::Stub;

  // The address is resolved at every call: a restarted server may have another.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    REFLUX_ASSIGN_OR_RETURN(const std::string address, ResolveEndpoint(endpoint_));
    const auto stub = v1::CacheAdminService::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTimeout));
    Response response;
    const absl::Status status = FromGrpc((stub.get()->*method)(&context, request, &response));
    if (status.ok()) return response;
    return absl::Status(status.code(),
                        absl::StrCat("cache server at ", address, ": ", status.message()));
  }

  const std::string endpoint_;
};

absl::StatusOr<std::vector<bool>> RemoteInventory::Held(const TargetRequest& request) {
  REFLUX_RETURN_IF_ERROR(request.Validate());
  REFLUX_ASSIGN_OR_RETURN(const v1::ContainsResponse answer,
                          Call(&Stub::Contains, ToProto(request, Priority::kPrefill)));
  const size_t expected = request.samples.size() * request.specs.size();
  if (answer.held_size() != static_cast<int>(expected)) {
    return absl::InternalError(absl::StrCat("cache server at ", endpoint_, ": answered for ",
                                            answer.held_size(), " targets of ", expected));
  }
  return std::vector<bool>(answer.held().begin(), answer.held().end());
}

absl::StatusOr<std::vector<StoredSet>> RemoteInventory::Sets() {
  REFLUX_ASSIGN_OR_RETURN(const v1::ListTargetSetsResponse answer,
                          Call(&Stub::ListTargetSets, v1::ListTargetSetsRequest()));
  std::vector<StoredSet> sets;
  for (const v1::TargetSet& message : answer.sets()) {
    REFLUX_ASSIGN_OR_RETURN(StoredSet set, FromProto(message));
    sets.push_back(std::move(set));
  }
  return sets;
}

absl::StatusOr<StoreStats> RemoteInventory::Stats() {
  REFLUX_ASSIGN_OR_RETURN(const v1::CacheStats answer, Call(&Stub::Stats, v1::CacheStatsRequest()));
  return StoreStats{.entries = answer.entries(),
                    .live_bytes = answer.live_bytes(),
                    .capacity_bytes = answer.capacity_bytes(),
                    .free_disk_bytes = answer.free_disk_bytes(),
                    .storing = answer.storing(),
                    .directory = answer.directory()};
}

}  // namespace

std::unique_ptr<CacheInventory> MakeRemoteInventory(const std::string& endpoint) {
  return std::make_unique<RemoteInventory>(endpoint);
}

std::unique_ptr<CacheInventory> MakeStoreInventory(TargetStore& store) {
  return std::make_unique<StoreInventory>(store);
}

absl::StatusOr<std::unique_ptr<CacheInventory>> OpenFolderInventory(const std::string& directory) {
  if (!std::filesystem::exists(directory + "/FORMAT")) {
    return std::make_unique<StoreInventory>(std::make_unique<MemoryTargetStore>());
  }
  REFLUX_ASSIGN_OR_RETURN(std::unique_ptr<RocksTargetStore> store,
                          RocksTargetStore::Open({.directory = directory}));
  return std::make_unique<StoreInventory>(std::move(store));
}

std::vector<bool> HeldIn(TargetStore& store, const TargetRequest& request) {
  std::vector<bool> held;
  held.reserve(request.samples.size() * request.specs.size());
  for (const SampleRef& sample : request.samples) {
    for (const TargetSpec& spec : request.specs) {
      held.push_back(store.Contains(MakeTargetKey(request.teacher, sample, spec)));
    }
  }
  return held;
}

}  // namespace reflux
