// reflux-model inspect: what a checkpoint holds.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/model/commands.h"
#include "cli/model/inspect_scripted.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/checkpoint/scripted_model.h"

namespace reflux {
namespace {

struct Flags {
  std::string path;
  bool json = false, names = false, run_torchscript = false;
};

nlohmann::json ToJson(const CheckpointSummary& summary) {
  const ModelOptions& options = summary.info.options;
  const Preprocessing& p = summary.info.preprocessing;
  nlohmann::json taps = nlohmann::json::array();
  for (const TapInfo& tap : summary.taps) {
    taps.push_back({{"name", tap.name}, {"channels", tap.channels}, {"stride", tap.stride}});
  }
  return {{"path", summary.path},
          {"layout", summary.layout.empty() ? nlohmann::json() : nlohmann::json(summary.layout)},
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

nlohmann::json ToJson(const WeightFile& file) {
  nlohmann::json tensors = nlohmann::json::object();
  for (const auto& [name, entry] : file.entries()) {
    tensors[name] = {{"dtype", torch::toString(entry.dtype)}, {"shape", entry.shape}};
  }
  return {{"path", file.path()}, {"remarks", file.remarks()}, {"tensors", tensors}};
}

std::string NameLines(const WeightFile& file) {
  std::string lines;
  for (const auto& [name, entry] : file.entries()) {
    absl::StrAppend(&lines, name, "  [", absl::StrJoin(entry.shape, ", "), "] ",
                    torch::toString(entry.dtype), "\n");
  }
  return lines;
}

// The weights of a file that is no network known here.
std::string ForeignText(const WeightFile& file, const absl::Status& why) {
  int64_t numbers = 0;
  for (const auto& [name, entry] : file.entries()) {
    int64_t count = 1;
    for (const int64_t size : entry.shape) count *= size;
    numbers += count;
  }
  return absl::StrCat("file: ", file.path(), "\nlayout: ", file.LayoutText(),
                      "\ntensors: ", file.entries().size(), " of ", numbers,
                      " numbers\nnot a network that can be built: ", why.message(), "\n");
}

absl::Status Inspect(const Flags& flags) {
  if (IsTorchScript(flags.path)) {
    REFLUX_ASSIGN_OR_RETURN(const std::string text, InspectScripted({.path = flags.path,
                                                                     .run = flags.run_torchscript,
                                                                     .names = flags.names,
                                                                     .json = flags.json}));
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<WeightFile> file, OpenWeightFile(flags.path));
  const absl::StatusOr<CheckpointSummary> summary = InspectCheckpoint(*file);
  std::string text;
  if (flags.json) {
    nlohmann::json json = summary.ok() ? ToJson(*summary) : ToJson(*file);
    if (!summary.ok()) json["problem"] = std::string(summary.status().message());
    text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  } else {
    text = summary.ok() ? summary->ToString() : ForeignText(*file, summary.status());
    for (const std::string& remark : file->remarks()) absl::StrAppend(&text, remark, "\n");
    if (flags.names) text += NameLines(*file);
  }
  std::fputs(text.c_str(), stdout);
  return absl::OkStatus();
}

}  // namespace

void AddInspectCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("inspect", "Tells architecture, classes, taps, preprocessing and digest");
  command
      ->add_option("CKPT", flags->path,
                   "Checkpoint: .safetensors, or what torch.save or torch.jit.save wrote")
      ->required();
  command->add_flag("--names", flags->names, "List every tensor, its shape and type");
  command->add_flag("--run-torchscript", flags->run_torchscript,
                    "RUN the program of a TorchScript module, with your rights, to learn its taps "
                    "and digest; all else is told without");
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, exit_code] {
    const absl::Status status = Inspect(*flags);
    *exit_code = status.ok() ? kExitDone : Fail(status);
  });
}

}  // namespace reflux
