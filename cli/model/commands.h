// The commands of reflux-model. Each registers itself with `app` and, when it was chosen, leaves
// its exit code (common/base/exit_codes.h) in `*exit_code`. Results go to standard output,
// everything else to standard error.
#pragma once

#include <CLI/CLI.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "distill/data/dataset.h"

namespace reflux {

void AddEvalCommand(CLI::App& app, int* exit_code);
void AddExportCommand(CLI::App& app, int* exit_code);
void AddImportCommand(CLI::App& app, int* exit_code);
void AddInitCommand(CLI::App& app, int* exit_code);
void AddInspectCommand(CLI::App& app, int* exit_code);
void AddModelsCommand(CLI::App& app, int* exit_code);
void AddViewsCommand(CLI::App& app, int* exit_code);

// Logs the error and returns kExitFailed.
int Fail(const absl::Status& status);
// The same for an error of the command line found after it was parsed: kExitUsage.
int FailUsage(const absl::Status& status);

// Reads "camvid:DIR", or a job file, whose own train or val split is meant by those names (--data).
// InvalidArgument says what is expected; the errors of LoadJobFile.
absl::StatusOr<DatasetOptions> ParseData(const std::string& text, const std::string& split);

}  // namespace reflux
