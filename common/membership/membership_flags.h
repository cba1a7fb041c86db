// The flags that every program started by the orchestrator takes.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/membership/membership_client.h"

namespace reflux {

struct MembershipFlags {
  std::string orchestrator;  // empty: the program runs on its own
  std::string launch_id, job_id, role;
  int generation = 0;
};

void AddMembershipFlags(CLI::App& app, MembershipFlags& flags);

// Starts the client, or returns null when no orchestrator was named. A refusal ends the process
// at once (MembershipCallbacks::refused), nothing more written. `options` brings the addresses; the
// flags fill in the rest.
absl::StatusOr<std::unique_ptr<MembershipClient>> StartMembership(
    const MembershipFlags& flags, MembershipOptions options,
    std::function<v1::Progress()> progress);

}  // namespace reflux
