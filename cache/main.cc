// reflux-cache: keeps teachers' targets on a local disk and serves them.
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <semaphore>
#include <string>

#include "cache/cache_server.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/membership/membership_flags.h"
#include "common/metrics/prometheus_registry.h"

namespace reflux {
namespace {

struct Flags {
  CacheServerOptions server;
  std::string metrics_listen;
  std::string log_level = "info";
  double capacity_gib = 0;
  double min_free_disk_gib = 1;
  MembershipFlags membership;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option("--dir", flags.server.store.directory, "Folder of the cache; created if missing")
      ->required();
  app.add_option("--listen", flags.server.listen,
                 "host:port to serve on; port 0: a free one, first the one published before")
      ->capture_default_str();
  app.add_option("--teacher", flags.server.teacher,
                 "Where misses are fetched: host:port, or @FILE that holds it. Without it only "
                 "what is stored is served");
  app.add_option("--endpoint-file", flags.server.endpoint_file,
                 "File to write the own host:port to, for clients that name it as @FILE");
  app.add_option("--metrics-listen", flags.metrics_listen,
                 "host:port of the Prometheus page; none unless given");
  app.add_option("--capacity-gib", flags.capacity_gib,
                 "Stop storing at this many GiB of targets; 0: no limit but the disk's")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_option("--min-free-disk-gib", flags.min_free_disk_gib,
                 "Stop storing when the disk has less than this free")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_option("--log-level", flags.log_level, "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  app.add_flag("--insecure", flags.server.insecure,
               "Allow listening beyond loopback: there is no TLS in this version");
  app.set_version_flag("--version", std::string(BuildVersion()));
  AddMembershipFlags(app, flags.membership);
}

// Every table of the store wants a file descriptor.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int ExitCode(const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) return kExitUsage;
  return absl::IsPermissionDenied(status) ? kPermanentFailure : kExitFailed;
}

int Fail(const absl::Status& status) {
  spdlog::error("reflux-cache: {}", std::string(status.message()));
  return ExitCode(status);
}

int Run(const Flags& flags) {
  const std::shared_ptr<Cancellation> shutdown = InstallShutdownSignals();
  RaiseDescriptorLimit();
  std::unique_ptr<PrometheusRegistry> registry;
  if (!flags.metrics_listen.empty()) {
    auto started = PrometheusRegistry::Start(flags.metrics_listen);
    if (!started.ok()) return Fail(started.status());
    registry = *std::move(started);
    spdlog::info("metrics at http://{}/metrics", registry->address());
  }
  auto server = CacheServer::Start(flags.server, registry.get());
  if (!server.ok()) return Fail(server.status());
  const StoreStats stats = (*server)->store().stats();
  const std::string& teacher = flags.server.teacher;
  spdlog::info("reflux-cache {} serves on {}: {} holds {} targets, {:.2f} GiB; teacher: {}",
               std::string(BuildVersion()), (*server)->address(), stats.directory, stats.entries,
               static_cast<double>(stats.live_bytes) / (1 << 30),
               teacher.empty() ? "none" : teacher);
  auto membership = StartMembership(
      flags.membership,
      {.address = (*server)->address(), .metrics_address = registry ? registry->address() : ""},
      nullptr);
  if (!membership.ok()) return Fail(membership.status());
  std::counting_semaphore<2> stop(0);
  const auto on_signal = shutdown->OnCancel([&stop] { stop.release(); });
  const auto on_wish = *membership
                           ? (*membership)->stop_requested()->OnCancel([&stop] { stop.release(); })
                           : nullptr;
  stop.acquire();
  spdlog::info("reflux-cache stops: calls under way have 10 s to end");
  (*server)->Shutdown(absl::Seconds(10));
  return kExitDone;
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  CLI::App app("Keeps teachers' targets on a local disk and serves them to students.");
  reflux::Flags flags;
  reflux::AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  spdlog::set_level(spdlog::level::from_str(flags.log_level));
  flags.server.store.capacity_bytes = static_cast<int64_t>(flags.capacity_gib * (1 << 30));
  flags.server.store.min_free_disk_bytes =
      static_cast<int64_t>(flags.min_free_disk_gib * (1 << 30));
  return reflux::Run(flags);
}
