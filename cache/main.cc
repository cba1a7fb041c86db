// reflux-cache: keeps teachers' targets on a local disk and serves them.
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cache/cache_server.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/membership/program_flags.h"

namespace reflux {
namespace {

struct Flags {
  CacheServerOptions server;
  double capacity_gib = 0;
  double min_free_disk_gib = 1;
  ProgramFlags program;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.add_option("--dir", flags.server.store.directory, "Folder of the cache; created if missing")
      ->required();
  AddServerFlags(app, flags.server.listen, flags.server.endpoint_file, flags.server.insecure);
  app.add_option("--teacher", flags.server.teacher,
                 "Where misses are fetched: host:port, or @FILE that holds it. Without it only "
                 "what is stored is served");
  app.add_option(
         "--capacity-gib", flags.capacity_gib,
         "GiB of targets to hold: beyond it, sets that nobody uses are evicted; 0: no limit "
         "but the disk's")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_option("--min-free-disk-gib", flags.min_free_disk_gib,
                 "Evict, then stop storing, when the disk has less than this free")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  AddProgramFlags(app, flags.program);
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
  CLI::App app("Keeps teachers' targets on a local disk and serves them to students.");
  reflux::Flags flags;
  reflux::AddFlags(app, flags);
  if (const auto exit_code = reflux::ParseFlags(app, argc, argv, flags.program)) return *exit_code;
  flags.server.store.capacity_bytes = static_cast<int64_t>(flags.capacity_gib * (1 << 30));
  flags.server.store.min_free_disk_bytes =
      static_cast<int64_t>(flags.min_free_disk_gib * (1 << 30));
  return reflux::Run(flags);
}
