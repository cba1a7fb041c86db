// Stands in for reflux-worker, reflux-teacher and reflux-cache (told apart by the name it is
// started under): registers, reports steps, ends when asked, or with code 0 when FINISH exists in
// --dir of a worker.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/exit_codes.h"
#include "common/base/shutdown.h"
#include "common/membership/membership_client.h"
#include "common/rpc/endpoints.h"
#include "tests/support/folder_watch.h"

namespace {

// Until `stop` is readable, or the file `finish` appears in the folder watched, if one is.
int AwaitEnd(int stop, std::optional<reflux::FolderWatch>& folder, const std::string& finish) {
  while (true) {
    if (folder && std::filesystem::exists(finish)) return reflux::kExitDone;
    pollfd events[] = {{.fd = stop, .events = POLLIN},
                       {.fd = folder ? folder->descriptor() : -1, .events = POLLIN}};
    poll(events, 2, -1);
    if (events[0].revents != 0) return reflux::kExitStopped;
    if (folder) folder->Drain();
  }
}

}  // namespace

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
  const int stop = eventfd(0, EFD_CLOEXEC);
  const auto wake = [stop] { eventfd_write(stop, 1); };
  const auto on_signal = shutdown->OnCancel(wake);
  const auto on_wish = (*client)->stop_requested()->OnCancel(wake);
  const std::string finish = flags["--dir"] + "/FINISH";
  std::optional<reflux::FolderWatch> folder;
  if (worker) folder.emplace(flags["--dir"]);
  return AwaitEnd(stop, folder, finish);
}
