// reflux-cache: keeps teachers' targets on a local disk or on Ceph and serves them.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cache/cache_server.h"
#include "cache/rocks_handles.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/base/status_macros.h"
#include "common/membership/program_flags.h"

namespace reflux {
namespace {

struct Flags {
  CacheServerOptions server;
  std::string store;
  std::string ceph_conf;
  std::string ceph_user = RadosStoreOptions{}.user;
  double capacity_gib = 0;
  double min_free_disk_gib = 1;
  ProgramFlags program;
};

void AddFlags(CLI::App& app, Flags& flags) {
  CLI::Option* dir = app.add_option("--dir", flags.server.store.directory,
                                    "Folder of the cache; created if missing");
  CLI::Option* store =
      app.add_option("--store", flags.store,
                     "Instead of --dir: rados:POOL or rados:POOL/NAME, a store on Ceph that any "
                     "number of cache servers share");
  store->excludes(dir);
  app.add_option("--ceph-conf", flags.ceph_conf,
                 "Ceph's configuration file; without it where Ceph looks for it")
      ->needs(store);
  app.add_option("--ceph-user", flags.ceph_user, "Ceph's user, without \"client.\"")
      ->needs(store)
      ->capture_default_str();
  AddServerFlags(app, flags.server.listen, flags.server.endpoint_file, flags.server.insecure);
  app.add_option("--teacher", flags.server.teacher,
                 "Where misses are fetched: host:port, @FILE that holds it, or several, A,B,...; "
                 "@FOLDER/ stands for every file in it. Without it only what is stored is served");
  app.add_option(
         "--capacity-gib", flags.capacity_gib,
         "GiB of targets to hold: beyond it, sets that nobody uses are evicted; 0: no limit "
         "but the disk's")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_option("--min-free-disk-gib", flags.min_free_disk_gib,
                 "Evict, then stop storing, when the disk has less than this free")
      ->check(CLI::Range(0.0, 1e9))
      ->excludes(store)
      ->capture_default_str();
  AddProgramFlags(app, flags.program);
}

int ExitCode(const absl::Status& status) {
  if (absl::IsInvalidArgument(status) || absl::IsUnimplemented(status)) return kExitUsage;
  return absl::IsPermissionDenied(status) ? kPermanentFailure : kExitFailed;
}

int Fail(const absl::Status& status) {
  spdlog::error("reflux-cache: {}", std::string(status.message()));
  return ExitCode(status);
}

// From text and GiB to the options of whichever store it is.
absl::Status ResolveStore(Flags& flags) {
  const auto capacity = static_cast<int64_t>(flags.capacity_gib * (1 << 30));
  if (!flags.store.empty()) {
    REFLUX_ASSIGN_OR_RETURN(flags.server.rados, ParseRadosLocation(flags.store));
    flags.server.rados->configuration = flags.ceph_conf;
    flags.server.rados->user = flags.ceph_user;
    flags.server.rados->capacity_bytes = capacity;
    return absl::OkStatus();
  }
  if (flags.server.store.directory.empty()) {
    return absl::InvalidArgumentError("give --dir (a folder) or --store (a store on Ceph)");
  }
  flags.server.store.capacity_bytes = capacity;
  flags.server.store.min_free_disk_bytes =
      static_cast<int64_t>(flags.min_free_disk_gib * (1 << 30));
  return absl::OkStatus();
}

int Run(const Flags& flags) {
  const std::shared_ptr<Cancellation> shutdown = InstallShutdownSignals();
  RaiseDescriptorLimit();
  const auto metrics = StartMetricsPage(flags.program);
  if (!metrics.ok()) return Fail(metrics.status());
  auto server = CacheServer::Start(flags.server, metrics->get());
  if (!server.ok()) return Fail(server.status());
  const StoreStats stats = (*server)->store().stats();
  const std::string& teacher = flags.server.teacher;
  spdlog::info("reflux-cache {} serves on {}: {} holds {} targets, {:.2f} GiB; teacher: {}",
               std::string(BuildVersion()), (*server)->address(), stats.directory, stats.entries,
               static_cast<double>(stats.live_bytes) / (1 << 30),
               teacher.empty() ? "none" : teacher);
  const absl::Status served =
      ServeUntilStopped(flags.program, (*server)->address(), metrics->get(), *shutdown, [&server] {
        spdlog::info("reflux-cache stops: calls under way have 10 s to end");
        (*server)->Shutdown(absl::Seconds(10));
      });
  return served.ok() ? kExitDone : Fail(served);
}

}  // namespace
}  // namespace reflux

int main(int argc, char** argv) {
  CLI::App app("Keeps teachers' targets on a local disk or on Ceph and serves them to students.");
  reflux::Flags flags;
  reflux::AddFlags(app, flags);
  if (const auto exit_code = reflux::ParseFlags(app, argc, argv, flags.program)) return *exit_code;
  const absl::Status store = reflux::ResolveStore(flags);
  if (!store.ok()) return reflux::Fail(store);
  return reflux::Run(flags);
}
