// reflux-model: looks at networks on disk, measures them, makes random ones.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/model/commands.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "job_plan/data_plan.h"

namespace reflux {

int Fail(const absl::Status& status) {
  spdlog::error("reflux-model: {}", std::string(status.message()));
  return kExitFailed;
}

int FailUsage(const absl::Status& status) {
  spdlog::error("reflux-model: {}", std::string(status.message()));
  return kExitUsage;
}

absl::StatusOr<DatasetOptions> ParseData(const std::string& text, const std::string& split) {
  if (absl::EndsWith(text, ".yaml") || absl::EndsWith(text, ".yml") ||
      absl::EndsWith(text, ".json")) {
    REFLUX_ASSIGN_OR_RETURN(const v1::JobSpec spec, LoadJobFile(text));
    if (split == "train") return PlanTrainSplit(spec.data());
    DatasetOptions options = PlanValSplit(spec.data());
    if (split != "val") options.split = split;
    return options;
  }
  const size_t colon = text.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--data ", text,
                     ": expected FORMAT:FOLDER, for example camvid:/data/CamVid, or a job file"));
  }
  return DatasetOptions{
      .format = text.substr(0, colon), .root = text.substr(colon + 1), .split = split};
}

}  // namespace reflux

int main(int argc, char** argv) {
  // Standard output is for results.
  spdlog::set_default_logger(spdlog::stderr_color_mt("reflux-model"));
  spdlog::set_pattern("%^%l%$: %v");
  CLI::App app("Looks at networks on disk, measures and converts them, makes random ones.");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(reflux::BuildVersion()));
  app.footer(
      "Examples:\n"
      "  reflux-model models --size 512x1024\n"
      "  reflux-model inspect student.safetensors\n"
      "  reflux-model eval teacher.safetensors student.safetensors --data camvid:/data/CamVid\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage. `reflux-model COMMAND --help` tells more.");
  int exit_code = reflux::kExitDone;
  reflux::AddInspectCommand(app, &exit_code);
  reflux::AddEvalCommand(app, &exit_code);
  reflux::AddExportCommand(app, &exit_code);
  reflux::AddImportCommand(app, &exit_code);
  reflux::AddInitCommand(app, &exit_code);
  reflux::AddModelsCommand(app, &exit_code);
  reflux::AddViewsCommand(app, &exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? reflux::kExitDone : reflux::kExitUsage;
  }
  return exit_code;
}
