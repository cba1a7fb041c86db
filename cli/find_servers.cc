#include "cli/find_servers.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/connection.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "reflux/v1/jobs.grpc.pb.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

// The roles of `kind` that have an endpoint file beside the orchestrator's; none when its address
// was given instead. A file may be left of a server that is gone.
std::vector<std::string> PublishedRoles(const std::string& orchestrator, const std::string& kind) {
  if (!absl::StartsWith(orchestrator, "@")) return {};
  const fs::path endpoints = fs::path(orchestrator.substr(1)).parent_path();
  std::error_code error;
  std::vector<std::string> roles;
  for (fs::recursive_directory_iterator it(endpoints / kind, error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    if (!it->is_regular_file(ignored)) continue;
    roles.push_back(it->path().lexically_relative(endpoints).string());
  }
  return roles;
}

absl::Status AddServersOfJobs(const std::string& orchestrator, const std::string& kind,
                              std::map<std::string, std::string>& servers) {
  REFLUX_ASSIGN_OR_RETURN(
      const v1::ListJobsResponse jobs,
      Call<v1::JobService>(orchestrator, &v1::JobService::Stub::ListJobs, v1::ListJobsRequest()));
  for (const v1::Job& job : jobs.jobs()) {
    for (const v1::Process& process : job.processes()) {
      if (!absl::StartsWith(process.role(), kind + "/")) continue;
      if (process.state() == "running" && !process.address().empty()) {
        servers[process.role()] = process.address();
      }
    }
  }
  return absl::OkStatus();
}

// No job lists a server that has outlived its jobs, but the orchestrator knows where it is.
void AddLingering(const std::string& orchestrator, const std::string& kind,
                  std::map<std::string, std::string>& servers) {
  for (const std::string& role : PublishedRoles(orchestrator, kind)) {
    if (servers.contains(role)) continue;
    v1::ResolveRequest request;
    request.set_name(role);
    const auto found =
        Call<v1::MembershipService>(orchestrator, &v1::MembershipService::Stub::Resolve, request);
    if (found.ok()) servers[role] = found->address();
  }
}

}  // namespace

absl::StatusOr<std::vector<FoundServer>> FindServers(const std::string& orchestrator,
                                                     const std::string& kind) {
  std::map<std::string, std::string> servers;
  const absl::Status asked = AddServersOfJobs(orchestrator, kind, servers);
  if (!asked.ok()) {
    return absl::Status(asked.code(), absl::StrCat(asked.message(), "; a ", kind,
                                                   " that runs without an orchestrator is named "
                                                   "with --",
                                                   kind, " (host:port or @FILE)"));
  }
  AddLingering(orchestrator, kind, servers);
  if (servers.empty()) {
    return absl::NotFoundError(absl::StrCat("the orchestrator ", orchestrator, " runs no ", kind,
                                            " now; name one with --", kind,
                                            " (host:port or @FILE)"));
  }
  std::vector<FoundServer> found;
  for (const auto& [role, address] : servers) found.push_back({role, address});
  return found;
}

int OnServers(Terminal& terminal, const ServerChoice& choice,
              const std::function<int(const std::string&)>& command) {
  if (!choice.endpoint.empty()) return command(choice.endpoint);
  const auto servers = FindServers(choice.orchestrator, choice.kind);
  if (!servers.ok()) return Fail(terminal, servers.status());
  int worst = kExitDone;
  for (const FoundServer& server : *servers) {
    if (servers->size() > 1 && !terminal.json) {
      terminal.out << server.role << " at " << server.address << "\n";
    }
    worst = std::max(worst, command(server.address));
  }
  return worst;
}

int OnOneServer(Terminal& terminal, const ServerChoice& choice,
                const std::function<int(const std::string&)>& command) {
  if (!choice.endpoint.empty()) return command(choice.endpoint);
  const auto servers = FindServers(choice.orchestrator, choice.kind);
  if (!servers.ok()) return Fail(terminal, servers.status());
  if (servers->size() == 1) return command(servers->front().address);
  std::string listed;
  for (const FoundServer& server : *servers) {
    absl::StrAppend(&listed, "\n  --", choice.kind, " ", server.address, "    ", server.role);
  }
  return Fail(terminal, absl::InvalidArgumentError(absl::StrCat(
                            "the orchestrator runs ", servers->size(), " servers of kind ",
                            choice.kind, "; say which:", listed)));
}

}  // namespace reflux
