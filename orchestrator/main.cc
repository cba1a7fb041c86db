// reflux-orchestrator: runs jobs on this machine.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "common/membership/program_flags.h"
#include "common/metrics/prometheus_registry.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/server.h"
#include "common/rpc/state_folder.h"
#include "orchestrator/job_service.h"
#include "orchestrator/local_launcher.h"
#include "orchestrator/orchestrator.h"
#include "orchestrator/state_layout.h"

namespace reflux {
namespace {

// A lease or timeout below this is nothing that processes on a busy machine can keep.
constexpr double kMinSeconds = 0.1;
constexpr double kMaxSeconds = 365 * 86400;

// Where `reflux` looks for it unless told otherwise; empty without a home.
std::string DefaultState() {
  const char* const home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? "" : absl::StrCat(home, kStateBelowHome);
}

struct Flags {
  std::string state = DefaultState();
  std::string log_level = "info";
  std::string listen = "127.0.0.1:0";
  std::string metrics_listen;
  std::string bin_dir = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  double orphan_timeout = 600;
  double grace = 30;
  double service_linger = 600;
  double lease = 30;
  double start_timeout = 600;
  double restart_backoff = 1;
  CacheSite cache_site;
  bool insecure = false;
};

absl::StatusOr<std::unique_ptr<Orchestrator>> StartOrchestrator(const Flags& flags,
                                                                const StateLayout& layout,
                                                                MetricRegistry* metrics) {
  // The store first: its lock keeps a second orchestrator from touching anything.
  REFLUX_ASSIGN_OR_RETURN(auto store, JobStore::Open(layout.Database()));
  REFLUX_ASSIGN_OR_RETURN(auto launcher,
                          MakeLocalLauncher({.supervisor = flags.bin_dir + "/reflux-supervise",
                                             .lease_file = layout.Lease(),
                                             .orphan_timeout = absl::Seconds(flags.orphan_timeout),
                                             .grace = absl::Seconds(flags.grace)}));
  OrchestratorOptions options = {.state_dir = layout.root,
                                 .bin_dir = flags.bin_dir,
                                 .lease = absl::Seconds(flags.lease),
                                 .start_timeout = absl::Seconds(flags.start_timeout),
                                 .service_linger = absl::Seconds(flags.service_linger),
                                 .cache_site = flags.cache_site};
  options.restart.min_backoff = absl::Seconds(flags.restart_backoff);
  options.restart.max_backoff = std::max(options.restart.max_backoff, options.restart.min_backoff);
  return Orchestrator::Start(options, std::move(store), std::move(launcher), metrics);
}

absl::Status Run(const Flags& flags) {
  const std::shared_ptr<Cancellation> shutdown = InstallShutdownSignals();
  const StateLayout layout = {std::filesystem::absolute(flags.state).lexically_normal()};
  std::unique_ptr<PrometheusRegistry> metrics;
  if (!flags.metrics_listen.empty()) {
    REFLUX_ASSIGN_OR_RETURN(metrics, PrometheusRegistry::Start(flags.metrics_listen));
    spdlog::info("metrics at http://{}/metrics", metrics->address());
  }
  REFLUX_ASSIGN_OR_RETURN(auto orchestrator, StartOrchestrator(flags, layout, metrics.get()));
  const auto jobs = MakeJobService(*orchestrator);
  const auto membership = MakeMembershipService(*orchestrator);
  const std::string endpoint = layout.Endpoint("orchestrator");
  auto started = RpcServer::Start({.address = flags.listen,
                                   .insecure = flags.insecure,
                                   .preferred_port = PublishedPort(endpoint)},
                                  {jobs.get(), membership.get()});
  const absl::Duration patience = 2 * absl::Seconds(flags.grace) + absl::Seconds(10);
  if (!started.ok()) {  // nobody could reach what has been started or adopted
    (void)orchestrator->Shutdown(absl::Now() + patience);
    return started.status();
  }
  const std::unique_ptr<RpcServer> server = *std::move(started);
  REFLUX_RETURN_IF_ERROR(PublishEndpoint(endpoint, server->address()));
  server->SetServing(true);
  spdlog::info("reflux-orchestrator {} listens on {}, state in {}", std::string(BuildVersion()),
               server->address(), layout.root);
  AwaitCancelled({shutdown.get()});
  spdlog::info("stopping: jobs go on at the next start");
  // Served meanwhile: the processes still report their last progress.
  const absl::Status stopped = orchestrator->Shutdown(absl::Now() + patience);
  server->Shutdown(absl::Seconds(1));
  return stopped;
}

// `at_least`: 0 where none at all makes sense.
void AddSeconds(CLI::App& app, const std::string& name, double& seconds, double at_least,
                const std::string& help) {
  app.add_option(name, seconds, help)
      ->check(CLI::Range(at_least, kMaxSeconds))
      ->capture_default_str();
}

void AddTimes(CLI::App& app, Flags& flags) {
  AddSeconds(app, "--orphan-timeout", flags.orphan_timeout, kMinSeconds,
             "Seconds without an orchestrator after which processes stop themselves");
  AddSeconds(app, "--grace", flags.grace, 0, "Seconds between SIGTERM and SIGKILL");
  AddSeconds(app, "--service-linger", flags.service_linger, 0,
             "Seconds that a teacher or cache is kept after its last job");
  AddSeconds(app, "--lease", flags.lease, kMinSeconds,
             "Seconds without a heartbeat until a process is lost");
  AddSeconds(app, "--start-timeout", flags.start_timeout, kMinSeconds,
             "Seconds from the start of a process to its registration");
  AddSeconds(app, "--restart-backoff", flags.restart_backoff, 0,
             "Seconds before the first restart; doubles up to 30");
}

void AddFlags(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", std::string(BuildVersion()));
  CLI::Option* state =
      app.add_option("--state", flags.state, "Folder of jobs, logs, caches and endpoints")
          ->capture_default_str();
  if (flags.state.empty()) state->required();
  app.add_option("--listen", flags.listen, "host:port of the API; port 0: the former or a free one")
      ->capture_default_str();
  app.add_option("--metrics-listen", flags.metrics_listen, "host:port of /metrics; none if absent");
  AddLogLevelFlag(app, flags.log_level);
  app.add_option("--bin-dir", flags.bin_dir, "Folder of the other reflux programs")
      ->capture_default_str();
  AddTimes(app, flags);
  CLI::Option* store = app.add_option(
      "--cache-store", flags.cache_site.store,
      "rados:POOL, the store on Ceph that cache servers share; without it each has a folder");
  app.add_option("--ceph-conf", flags.cache_site.ceph_conf, "Ceph's configuration file")
      ->needs(store);
  app.add_option("--ceph-user", flags.cache_site.ceph_user, "Ceph's user, without \"client.\"")
      ->needs(store);
  app.add_option("--cache-capacity-gib", flags.cache_site.capacity_gib,
                 "GiB of targets for each cache server to hold; 0: no limit but the disk's")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_flag("--insecure", flags.insecure,
               "Listen on other than loopback addresses, without TLS");
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  CLI::App app{
      "Runs distillation jobs on this machine: starts and watches teachers, caches and student\n"
      "workers. SIGTERM or Ctrl-C stops them all resumably; after kill -9 the next start takes "
      "over\n"
      "what is still running."};
  reflux::Flags flags;
  reflux::AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  reflux::SetLogLevel(flags.log_level);
  const absl::Status status = reflux::Run(flags);
  if (status.ok()) return reflux::kExitDone;
  std::fprintf(stderr, "reflux-orchestrator: %s\n", std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) ? reflux::kExitUsage : reflux::kExitFailed;
}
