#include "student_worker/cache_notes.h"

#include <grpcpp/grpcpp.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cache/note_names.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/server_list.h"
#include "common/rpc/status.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

class StoreNotes : public CacheNotes {
 public:
  explicit StoreNotes(TargetStore& store) : store_(store) {}
  absl::StatusOr<std::string> Get(const std::string& name) override {
    return store_.GetMeta(NoteMetaName(name));
  }
  absl::Status Keep(const std::string& name, const std::string& value) override {
    return store_.PutMeta(NoteMetaName(name), value);
  }
  absl::StatusOr<int64_t> FreeBytes() override { return store_.stats().room_bytes(); }

 private:
  TargetStore& store_;
};

class RemoteNotes : public CacheNotes {
 public:
  explicit RemoteNotes(std::string servers) : servers_(std::move(servers)) {}

  absl::StatusOr<std::string> Get(const std::string& name) override {
    v1::Note request;
    request.set_name(name);
    REFLUX_ASSIGN_OR_RETURN(v1::Note note, (Call<v1::Note, v1::Note>(&Stub::GetNote, request)));
    return std::move(*note.mutable_value());
  }
  absl::Status Keep(const std::string& name, const std::string& value) override {
    v1::Note note;
    note.set_name(name);
    note.set_value(value);
    return Call<v1::Note, v1::KeepNoteResponse>(&Stub::KeepNote, note).status();
  }
  absl::StatusOr<int64_t> FreeBytes() override {
    REFLUX_ASSIGN_OR_RETURN(
        const v1::CacheStats stats,
        (Call<v1::CacheStatsRequest, v1::CacheStats>(&Stub::Stats, v1::CacheStatsRequest())));
    return StoreStats{.live_bytes = stats.live_bytes(),
                      .capacity_bytes = stats.capacity_bytes(),
                      .free_disk_bytes = stats.free_disk_bytes()}
        .room_bytes();
  }

 private:
  using Stub = v1::CacheAdminService::Stub;

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    REFLUX_ASSIGN_OR_RETURN(const std::vector<ListedServer> listed, ListServers(servers_));
    if (listed.empty())
      return absl::UnavailableError(absl::StrCat("no cache server at ", servers_));
    REFLUX_ASSIGN_OR_RETURN(const std::string address, ResolveEndpoint(listed[0].endpoint));
    const std::unique_ptr<Stub> stub = v1::CacheAdminService::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(10)));
    Response response;
    const absl::Status status = FromGrpc((stub.get()->*method)(&context, request, &response));
    if (!status.ok()) return status;
    return response;
  }

  const std::string servers_;
};

}  // namespace

std::unique_ptr<CacheNotes> MakeStoreNotes(TargetStore& store) {
  return std::make_unique<StoreNotes>(store);
}
std::unique_ptr<CacheNotes> MakeRemoteNotes(const std::string& servers) {
  return std::make_unique<RemoteNotes>(servers);
}

}  // namespace reflux
