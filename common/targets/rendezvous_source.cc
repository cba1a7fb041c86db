#include "common/targets/rendezvous_source.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/targets/rendezvous_fetch.h"

namespace reflux {
namespace {

// How long one of several servers is tried before its samples go to the next.
constexpr absl::Duration kGiveUpAfter = absl::Milliseconds(500);

class RendezvousSource : public TargetSource {
 public:
  RendezvousSource(const RendezvousOptions& options, const RendezvousMetrics& metrics)
      : options_(options), metrics_(metrics) {}

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override;
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override;

 private:
  // As of now. Members that stay in the list keep their connection.
  absl::StatusOr<RendezvousMembers> Members();
  // False at the caller's deadline or cancellation; `status` then says so, with the last failure.
  bool Pause(const FetchContext& context, const absl::Status& failure, absl::Status& status) const;

  const RendezvousOptions options_;
  const RendezvousMetrics metrics_;
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<RendezvousMember>> members_ REFLUX_GUARDED_BY(mutex_);
};

absl::StatusOr<RendezvousMembers> RendezvousSource::Members() {
  REFLUX_ASSIGN_OR_RETURN(const std::vector<ListedServer> servers, options_.servers());
  MutexLock lock(mutex_);
  std::map<std::string, std::shared_ptr<RendezvousMember>> listed;
  RendezvousMembers members;
  for (const ListedServer& server : servers) {
    std::shared_ptr<RendezvousMember>& member = listed[server.name];
    const auto known = members_.find(server.name);
    member = known != members_.end() && known->second->server() == server
                 ? known->second
                 : std::make_shared<RendezvousMember>(server, options_.connect(server));
    members.push_back(member);
  }
  members_ = std::move(listed);
  return members;
}

bool RendezvousSource::Pause(const FetchContext& context, const absl::Status& failure,
                             absl::Status& status) const {
  status = context.Check();
  if (status.ok()) {
    SleepUntil(std::min(context.deadline, absl::Now() + options_.backoff),
               context.cancellation.get());
    status = context.Check();
  }
  if (status.ok()) return true;
  const std::string why = failure.ok() ? "no server is announced" : std::string(failure.message());
  status = absl::Status(status.code(), absl::StrCat(status.message(), "; last try: ", why));
  return false;
}

absl::Status RendezvousSource::Fetch(const FetchContext& context, const TargetRequest& request,
                                     TargetSink& sink) {
  REFLUX_RETURN_IF_ERROR(request.Validate());
  RendezvousFetch fetch(options_, metrics_, context, request, sink);
  absl::Status stopped;
  bool failed_over = false;
  while (true) {
    const absl::StatusOr<RendezvousMembers> members = Members();
    if (!members.ok()) return fetch.Finish(members.status());
    if (!members->empty() && fetch.Round(*members)) return fetch.Finish(absl::OkStatus());
    // A server's failure is answered at once by asking the next; then with pauses.
    if (std::exchange(failed_over, true) || members->empty()) {
      if (!Pause(context, fetch.unreachable(), stopped)) return fetch.Finish(stopped);
    }
  }
}

absl::StatusOr<TeacherInfo> RendezvousSource::GetTeacherInfo(const FetchContext& context) {
  absl::Status failure, stopped;
  while (true) {
    REFLUX_ASSIGN_OR_RETURN(const RendezvousMembers members, Members());
    for (const auto& member : members) {
      absl::StatusOr<TeacherInfo> info = member->source().GetTeacherInfo(context);
      if (info.ok() || !absl::IsUnavailable(info.status())) return info;
      failure = info.status();
    }
    if (!Pause(context, failure, stopped)) return stopped;
  }
}

}  // namespace

RendezvousMetrics RendezvousMetrics::Register(MetricRegistry& registry,
                                              const std::string& component) {
  return {.failovers = registry.AddCounter(
              absl::StrCat("reflux_", component, "_remote_failovers_total"),
              "Samples asked from another server than the first of their order.")};
}

std::unique_ptr<TargetSource> MakeRendezvousSource(const RendezvousOptions& options,
                                                   const RendezvousMetrics& metrics) {
  return std::make_unique<RendezvousSource>(options, metrics);
}

absl::StatusOr<std::unique_ptr<TargetSource>> ConnectServers(const std::string& servers,
                                                             const RemoteSourceOptions& options,
                                                             MetricRegistry* registry,
                                                             const std::string& component) {
  REFLUX_RETURN_IF_ERROR(ListServers(servers).status());
  RemoteSourceMetrics metrics;
  if (registry != nullptr) metrics = RemoteSourceMetrics::Register(*registry, component);
  if (registry != nullptr && options.reads_files) metrics.AddFileReads(*registry, component);
  RemoteSourceOptions remote = options;
  if (IsSingleServer(servers)) {
    remote.endpoint = servers;
    return MakeRemoteSource(remote, metrics);
  }
  remote.give_up_after = kGiveUpAfter;
  const RendezvousOptions rendezvous{.servers = [servers] { return ListServers(servers); },
                                     .connect =
                                         [remote, metrics](const ListedServer& server) mutable {
                                           remote.endpoint = server.endpoint;
                                           return MakeRemoteSource(remote, metrics);
                                         }};
  return MakeRendezvousSource(rendezvous, registry == nullptr
                                              ? RendezvousMetrics{}
                                              : RendezvousMetrics::Register(*registry, component));
}

}  // namespace reflux
