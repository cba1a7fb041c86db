#include "cache/inventory.h"

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cache/memory_target_store.h"
#include "cache/rocks_target_store.h"
#include "cache/set_record.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/server_list.h"
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
  explicit RemoteInventory(std::string servers) : servers_(std::move(servers)) {}

  absl::StatusOr<std::vector<bool>> Held(const TargetRequest& request) override;
  absl::StatusOr<std::vector<StoredSet>> Sets() override;
  absl::StatusOr<StoreStats> Stats() override;

 private:
  using Stub = v1::CacheAdminService::Stub;

  // The answer of each server. Addresses are resolved at every call: a restarted server may have
  // another.
  template <typename Request, typename Response>
  absl::StatusOr<std::vector<Response>> CallAll(grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                             const Request&,
                                                                             Response*),
                                                const Request& request) {
    REFLUX_ASSIGN_OR_RETURN(const std::vector<ListedServer> servers, ListServers(servers_));
    if (servers.empty()) {
      return absl::UnavailableError(absl::StrCat("no cache server listens in ", servers_, " yet"));
    }
    std::vector<Response> answers(servers.size());
    for (size_t i = 0; i < servers.size(); ++i) {
      REFLUX_RETURN_IF_ERROR(Call(servers[i].endpoint, method, request, answers[i]));
    }
    return answers;
  }

  template <typename Request, typename Response>
  absl::Status Call(const std::string& endpoint,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    REFLUX_ASSIGN_OR_RETURN(const std::string address, ResolveEndpoint(endpoint));
    const auto stub = v1::CacheAdminService::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kCallTimeout));
    const absl::Status status = FromGrpc((stub.get()->*method)(&context, request, &response));
    if (status.ok()) return status;
    return absl::Status(status.code(),
                        absl::StrCat("cache server at ", address, ": ", status.message()));
  }

  const std::string servers_;
};

absl::StatusOr<std::vector<bool>> RemoteInventory::Held(const TargetRequest& request) {
  REFLUX_RETURN_IF_ERROR(request.Validate());
  REFLUX_ASSIGN_OR_RETURN(const std::vector<v1::ContainsResponse> answers,
                          CallAll(&Stub::Contains, ToProto(request, Priority::kPrefill)));
  std::vector<bool> held(request.samples.size() * request.specs.size(), false);
  for (const v1::ContainsResponse& answer : answers) {
    if (answer.held_size() != static_cast<int>(held.size())) {
      return absl::InternalError(absl::StrCat("cache server at ", servers_, ": answered for ",
                                              answer.held_size(), " targets of ", held.size()));
    }
    for (int i = 0; i < answer.held_size(); ++i) {
      if (answer.held(i)) held[i] = true;
    }
  }
  return held;
}

absl::StatusOr<std::vector<StoredSet>> RemoteInventory::Sets() {
  REFLUX_ASSIGN_OR_RETURN(const std::vector<v1::ListTargetSetsResponse> answers,
                          CallAll(&Stub::ListTargetSets, v1::ListTargetSetsRequest()));
  std::map<TargetSetId, StoredSet> sets;
  for (const v1::ListTargetSetsResponse& answer : answers) {
    for (const v1::TargetSet& message : answer.sets()) {
      REFLUX_ASSIGN_OR_RETURN(StoredSet set, FromProto(message));
      const auto [it, is_new] = sets.emplace(set.id, set);
      if (is_new) continue;
      it->second.entries += set.entries;
      it->second.bytes += set.bytes;
    }
  }
  std::vector<StoredSet> all;
  for (auto& [id, set] : sets) all.push_back(std::move(set));
  return all;
}

absl::StatusOr<StoreStats> RemoteInventory::Stats() {
  REFLUX_ASSIGN_OR_RETURN(const std::vector<v1::CacheStats> answers,
                          CallAll(&Stub::Stats, v1::CacheStatsRequest()));
  StoreStats sum;
  for (const v1::CacheStats& answer : answers) {
    sum.entries += answer.entries();
    sum.live_bytes += answer.live_bytes();
    sum.capacity_bytes += answer.capacity_bytes();
    sum.free_disk_bytes += answer.free_disk_bytes();
    sum.storing = sum.storing && answer.storing();
    sum.directory = answer.directory();
  }
  return sum;
}

}  // namespace

std::unique_ptr<CacheInventory> MakeRemoteInventory(const std::string& servers) {
  return std::make_unique<RemoteInventory>(servers);
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
