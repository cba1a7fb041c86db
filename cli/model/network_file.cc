#include "cli/model/network_file.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/checkpoint_info.h"
#include "distill/checkpoint/checkpoint_layout.h"
#include "distill/checkpoint/scripted_model.h"

namespace reflux {
namespace {

absl::StatusOr<Preprocessing> ReadPreprocessing(const std::string& text) {
  if (absl::StartsWith(text, "{")) return ParsePreprocessing("--preprocessing", text);
  if (const CheckpointLayout* const layout = FindLayout(text); layout != nullptr)
    return layout->preprocessing;
  return absl::InvalidArgumentError(
      absl::StrCat("--preprocessing ", text, ": expected ", LayoutNames(),
                   R"(, or JSON such as {"order": "BGR", "divisor": 1, "mean": [104, 117, 123], )",
                   R"("deviation": [1, 1, 1]})"));
}

}  // namespace

void AddNetworkFlags(CLI::App& command, NetworkFlags& flags) {
  command.add_flag("--run-torchscript", flags.run_torchscript,
                   "Take TorchScript modules too. Such a file is a program: it is RUN, with your "
                   "rights");
  command.add_option("--preprocessing", flags.preprocessing,
                     "Of TorchScript modules, whatever they say: " + LayoutNames() +
                         ", or the JSON that may be saved with a module");
}

absl::Status CheckNetworkFlags(const NetworkFlags& flags, const std::vector<std::string>& paths) {
  if (flags.preprocessing.empty()) return absl::OkStatus();
  REFLUX_RETURN_IF_ERROR(ReadPreprocessing(flags.preprocessing).status());
  if (std::any_of(paths.begin(), paths.end(), IsTorchScript)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--preprocessing is for TorchScript modules, and none is given; a checkpoint says its own "
      "(reflux import --layout gives another)");
}

absl::StatusOr<ModelCheckpoint> LoadNetwork(const std::string& path, const NetworkFlags& flags) {
  if (!IsTorchScript(path)) return LoadModelCheckpoint(path);
  if (!flags.run_torchscript) {
    return absl::FailedPreconditionError(absl::StrCat(
        path,
        ": a TorchScript module, which is a program: --run-torchscript runs it, with your rights. "
        "reflux inspect reads it without running it"));
  }
  REFLUX_ASSIGN_OR_RETURN(ScriptedCheckpoint scripted, LoadScriptedModel(path));
  if (!flags.preprocessing.empty()) {
    REFLUX_ASSIGN_OR_RETURN(scripted.preprocessing, ReadPreprocessing(flags.preprocessing));
  }
  return AsModelCheckpoint(scripted);
}

}  // namespace reflux
