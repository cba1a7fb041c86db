// Stands in for reflux-worker, reflux-teacher and reflux-cache (told apart by the name it is
// started under): registers, reports steps, ends when asked, or with code 0 when FINISH exists in
// --dir of a worker.
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/membership/membership_client.h"
#include "common/rpc/endpoints.h"

int main(int argc, char** argv) {
  const auto shutdown = reflux::InstallShutdownSignals();
  const bool worker = absl::EndsWith(argv[0], "reflux-worker");
  std::map<std::string, std::string> flags;
  for (int i = 1; i + 1 < argc; i += 2) flags[argv[i]] = argv[i + 1];
  reflux::MembershipOptions options = {.orchestrator = flags["--orchestrator"],
                                       .launch_id = flags["--launch-id"],
                                       .job_id = flags["--job-id"],
                                       .role = flags["--role"],
                                       .min_retry = absl::Milliseconds(10),
                                       .max_retry = absl::Milliseconds(50),
                                       .max_heartbeat_interval = absl::Milliseconds(20)};
  if (worker) {
    options.role = absl::StrCat("worker/", flags["--rank"]);
    options.generation = std::stoi(flags["--generation"]);
    options.wants_store_address = flags["--rank"] != "0";
    if (!options.wants_store_address) options.store_address = "127.0.0.1:1";
  } else {
    options.address = "127.0.0.1:1";
    if (!reflux::PublishEndpoint(flags["--endpoint-file"], options.address).ok()) return 1;
  }
  std::atomic<int64_t> step{0};
  auto client = reflux::MembershipClient::Start(
      options, {.progress =
                    [&step] {
                      reflux::v1::Progress progress;
                      progress.set_step(++step);
                      return progress;
                    },
                .refused = [](const absl::Status&) { _exit(reflux::kExitFailed); }});
  if (!client.ok()) return reflux::kExitUsage;
  while (!shutdown->cancelled() && !(*client)->stop_requested()->cancelled()) {
    if (worker && std::filesystem::exists(flags["--dir"] + "/FINISH")) return reflux::kExitDone;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return reflux::kExitStopped;
}
