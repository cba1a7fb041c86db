// The commands of reflux-planner. Each registers itself with `app` and, when it was chosen, leaves
// its exit code (common/base/exit_codes.h) in `*exit_code`. Results go to standard output,
// everything else to standard error.
#pragma once

#include <CLI/CLI.hpp>

#include "absl/status/status.h"

namespace reflux {

// `coverage` (counts) and `why-miss` (with the reason).
void AddCoverageCommands(CLI::App& app, int* exit_code);

void AddFillCommand(CLI::App& app, int* exit_code);
void AddPlanCommand(CLI::App& app, int* exit_code);

// Logs the error and returns kExitFailed.
int Fail(const absl::Status& status);

}  // namespace reflux
