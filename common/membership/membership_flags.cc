#include "common/membership/membership_flags.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <utility>

#include "common/base/exit_codes.h"

namespace reflux {

void AddMembershipFlags(CLI::App& app, MembershipFlags& flags) {
  const std::string group = "Set by the orchestrator";
  app.add_option("--orchestrator", flags.orchestrator, "host:port or @FILE to register at")
      ->group(group);
  app.add_option("--launch-id", flags.launch_id, "This launch")->group(group);
  app.add_option("--job-id", flags.job_id, "The job this process belongs to")->group(group);
  app.add_option("--role", flags.role, "Role of this process, e.g. worker/0")->group(group);
  app.add_option("--generation", flags.generation, "Generation of the job's workers")->group(group);
}

absl::StatusOr<std::unique_ptr<MembershipClient>> StartMembership(
    const MembershipFlags& flags, MembershipOptions options,
    std::function<v1::Progress()> progress) {
  if (flags.orchestrator.empty()) return nullptr;
  options.orchestrator = flags.orchestrator;
  options.launch_id = flags.launch_id;
  options.job_id = flags.job_id;
  options.role = flags.role;
  options.generation = flags.generation;
  MembershipCallbacks callbacks;
  callbacks.progress = std::move(progress);
  callbacks.refused = [](const absl::Status& status) {
    spdlog::error("the orchestrator refuses this process: {}", std::string(status.message()));
    // At once: whoever took over must not race with what this process would still write.
    _exit(absl::IsUnimplemented(status) ? kPermanentFailure : kExitFailed);
  };
  return MembershipClient::Start(options, std::move(callbacks));
}

}  // namespace reflux
