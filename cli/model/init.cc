// reflux-model init: a checkpoint with random weights.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/model/commands.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

struct Flags {
  ModelOptions model;
  uint64_t seed = 0;
  std::string data, output;
  bool force = false;
};

absl::StatusOr<std::vector<std::string>> ClassNames(const Flags& flags) {
  if (flags.data.empty()) return std::vector<std::string>{};
  REFLUX_ASSIGN_OR_RETURN(const DatasetOptions options, ParseData(flags.data, "train"));
  REFLUX_ASSIGN_OR_RETURN(const std::unique_ptr<Dataset> dataset, OpenDataset(options));
  const size_t count = dataset->class_names().size();
  if (static_cast<int64_t>(count) == flags.model.num_classes) return dataset->class_names();
  return absl::InvalidArgumentError(
      absl::StrCat("--classes is ", flags.model.num_classes, ", but ", flags.data, " has ", count));
}

absl::Status WriteRandomModel(const Flags& flags, std::vector<std::string> classes) {
  CheckpointInfo info;
  REFLUX_ASSIGN_OR_RETURN(info.options, ResolveModelOptions(flags.model));
  info.classes = std::move(classes);
  info.extra = {{"init_seed", absl::StrCat(flags.seed)}};
  REFLUX_ASSIGN_OR_RETURN(const auto model, BuildModel(info.options));
  InitializeWeights(*model, flags.seed);
  return SaveModelCheckpoint(flags.output, *model, info);
}

int Init(const Flags& flags) {
  if (absl::Status status = flags.model.Validate(); !status.ok()) return FailUsage(status);
  std::error_code error;
  if (!flags.force && std::filesystem::exists(flags.output, error)) {
    return Fail(absl::AlreadyExistsError(
        absl::StrCat(flags.output, " exists: name another file, or overwrite it with --force")));
  }
  auto classes = ClassNames(flags);
  if (absl::IsInvalidArgument(classes.status())) return FailUsage(classes.status());
  if (!classes.ok()) return Fail(classes.status());
  absl::Status status = WriteRandomModel(flags, *std::move(classes));
  if (!status.ok()) return Fail(status);
  std::printf("%s: %s with random weights (seed %llu)\n", flags.output.c_str(),
              flags.model.architecture.c_str(), static_cast<unsigned long long>(flags.seed));
  return kExitDone;
}

}  // namespace

void AddInitCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  flags->model.num_classes = 11;
  CLI::App* command = app.add_subcommand("init", "Writes a network with random weights");
  command->add_option("--model", flags->model.architecture, "Architecture")
      ->check(CLI::IsMember(KnownArchitectures()))
      ->capture_default_str();
  command->add_option("--classes", flags->model.num_classes, "Number of classes")
      ->capture_default_str();
  command->add_option("--seed", flags->seed, "The same seed gives the same weights")
      ->capture_default_str();
  command->add_option("--data", flags->data,
                      "Data set whose class names are stored, e.g. camvid:/data/CamVid");
  command->add_option("-o,--output", flags->output, "File to write (.safetensors)")->required();
  command->add_flag("--force", flags->force, "Overwrite an existing file");
  command->callback([flags, exit_code] { *exit_code = Init(*flags); });
}

}  // namespace reflux
