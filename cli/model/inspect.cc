// reflux-model inspect: what a checkpoint holds.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/model/commands.h"
#include "common/base/exit_codes.h"
#include "distill/checkpoint/model_checkpoint.h"

namespace reflux {
namespace {

struct Flags {
  std::string path;
  bool json = false;
};

nlohmann::json ToJson(const CheckpointSummary& summary) {
  const ModelOptions& options = summary.info.options;
  const Preprocessing& p = summary.info.preprocessing;
  nlohmann::json taps = nlohmann::json::array();
  for (const TapInfo& tap : summary.taps) {
    taps.push_back({{"name", tap.name}, {"channels", tap.channels}, {"stride", tap.stride}});
  }
  return {{"path", summary.path},
          {"architecture", options.architecture},
          {"num_classes", options.num_classes},
          {"classes", summary.info.classes},
          {"output_stride", options.output_stride},
          {"aspp_width", options.aspp_width},
          {"aux", options.aux},
          {"norm_epsilon", options.norm_epsilon},
          {"parameters", summary.parameters},
          {"taps", taps},
          {"preprocessing",
           {{"order", p.bgr ? "BGR" : "RGB"},
            {"divisor", p.divisor},
            {"mean", p.mean},
            {"deviation", p.deviation}}},
          {"has_metadata", summary.has_metadata},
          {"extra", summary.info.extra},
          {"digest", summary.digest.Hex()}};
}

int Inspect(const Flags& flags) {
  const absl::StatusOr<CheckpointSummary> summary = InspectCheckpoint(flags.path);
  if (!summary.ok()) return Fail(summary.status());
  const std::string text = flags.json ? ToJson(*summary).dump(2) + "\n" : summary->ToString();
  std::fputs(text.c_str(), stdout);
  return kExitDone;
}

}  // namespace

void AddInspectCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("inspect", "Tells architecture, classes, taps, preprocessing and digest");
  command->add_option("CKPT", flags->path, "Checkpoint, a .safetensors file")->required();
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, exit_code] { *exit_code = Inspect(*flags); });
}

}  // namespace reflux
