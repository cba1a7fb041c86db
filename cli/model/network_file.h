// The networks that commands take: checkpoints, and TorchScript modules once the user has said that
// their programs may run.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "distill/checkpoint/model_checkpoint.h"

namespace reflux {

struct NetworkFlags {
  bool run_torchscript = false;
  // Name of a checkpoint layout, or the JSON of model_checkpoint.h; empty: what the module says.
  std::string preprocessing;
};

// --run-torchscript and --preprocessing. `flags` must outlive the parsing.
void AddNetworkFlags(CLI::App& command, NetworkFlags& flags);
// InvalidArgument for a preprocessing that cannot be read or that none of `paths` would use: only
// TorchScript modules do.
absl::Status CheckNetworkFlags(const NetworkFlags& flags, const std::vector<std::string>& paths);

// RUNS THE PROGRAM of a TorchScript module if `flags` allow it, else FailedPrecondition. Errors of
// LoadScriptedModel and LoadModelCheckpoint.
absl::StatusOr<ModelCheckpoint> LoadNetwork(const std::string& path, const NetworkFlags& flags);

}  // namespace reflux
