// A TargetSource over several servers that share the work by rendezvous hashing (rendezvous.h).
//
// A sample's targets are asked from the first server of its order. When that server cannot be
// reached they are asked from the next, and so on; the server then rests, and is tried again by one
// Fetch after the pause. Servers join and leave while calls are under way: the list is read again
// at every Fetch. When no server can be reached, tries go on until the caller's deadline.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "common/metrics/registry.h"
#include "common/rpc/server_list.h"
#include "common/targets/remote_source.h"
#include "common/targets/target.h"

namespace reflux {

struct RendezvousOptions {
  // The servers as of now. An error is the caller's.
  std::function<absl::StatusOr<std::vector<ListedServer>>()> servers;
  // A source for one server. It must answer UNAVAILABLE, for the whole request or for what it could
  // not deliver, when the server cannot be reached, and soon.
  std::function<std::unique_ptr<TargetSource>(const ListedServer&)> connect;
  // How long a server that could not be reached is passed over.
  absl::Duration rest = absl::Seconds(5);
  // Pause between rounds in which nobody could be reached.
  absl::Duration backoff = absl::Milliseconds(100);
  std::function<absl::Time()> now = absl::Now;  // for tests
};

struct RendezvousMetrics {
  Counter failovers;  // samples asked from another server than the first of their order
  static RendezvousMetrics Register(MetricRegistry& registry, const std::string& component);
};

// Thread-safe. Several servers are asked at once, each on a thread of its own; deliveries come one
// at a time from any of them, exactly once for each target.
std::unique_ptr<TargetSource> MakeRendezvousSource(const RendezvousOptions& options,
                                                   const RendezvousMetrics& metrics = {});

// The source for what a program was told with --targets: a RemoteSource for one server, a
// RendezvousSource over RemoteSources for several or for folders (common/rpc/server_list.h).
// `options.endpoint` and `options.give_up_after` are not looked at. `registry` may be null.
// InvalidArgument for a malformed list.
absl::StatusOr<std::unique_ptr<TargetSource>> ConnectServers(const std::string& servers,
                                                             const RemoteSourceOptions& options,
                                                             MetricRegistry* registry,
                                                             const std::string& component);

}  // namespace reflux
