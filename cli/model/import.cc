// reflux-model import: weights of another code base as a checkpoint of ours.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/model/commands.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/backbone_weights.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/checkpoint/scripted_model.h"
#include "distill/checkpoint/weight_file.h"
#include "distill/models/build_model.h"

namespace reflux {
namespace {

struct Flags {
  std::string input, output, layout, architecture, backbone_of;
  int64_t classes = 0;
  uint64_t seed = 0;
  bool force = false;
};

// A network whose backbone is the file's and whose head is drawn from the seed.
absl::Status ImportBackbone(const Flags& flags) {
  CheckpointInfo info;
  info.options.architecture = flags.backbone_of;
  info.options.num_classes = flags.classes;
  REFLUX_ASSIGN_OR_RETURN(info.options, ResolveModelOptions(info.options));
  REFLUX_ASSIGN_OR_RETURN(const auto model, BuildModel(info.options));
  InitializeWeights(*model, flags.seed);
  REFLUX_ASSIGN_OR_RETURN(const BackboneLoad load, LoadBackboneWeights(flags.input, *model));
  info.extra = {{"backbone", flags.input}, {"init_seed", absl::StrCat(flags.seed)}};
  REFLUX_RETURN_IF_ERROR(SaveModelCheckpoint(flags.output, *model, info));
  std::printf("%s: %s, backbone of %s, seed %llu: %s\n", flags.output.c_str(),
              flags.backbone_of.c_str(), flags.input.c_str(),
              static_cast<unsigned long long>(flags.seed), load.ToString().c_str());
  return absl::OkStatus();
}

absl::Status ImportNetwork(const Flags& flags) {
  REFLUX_ASSIGN_OR_RETURN(const auto file, IsTorchScript(flags.input)
                                               ? OpenScriptedWeights(flags.input, flags.layout)
                                               : OpenWeightFile(flags.input, flags.layout));
  for (const std::string& remark : file->remarks()) std::printf("%s\n", remark.c_str());
  std::printf("layout: %s\n", file->LayoutText().c_str());
  REFLUX_ASSIGN_OR_RETURN(const ModelCheckpoint checkpoint, LoadModelCheckpoint(*file));
  const ModelOptions& options = checkpoint.info.options;
  if (!flags.architecture.empty() && flags.architecture != options.architecture) {
    return absl::FailedPreconditionError(absl::StrCat(
        flags.input, " holds a ", options.architecture, ", wanted is a ", flags.architecture));
  }
  REFLUX_RETURN_IF_ERROR(SaveModelCheckpoint(flags.output, *checkpoint.model, checkpoint.info));
  const Preprocessing& p = checkpoint.info.preprocessing;
  std::printf("%s: %s, %lld classes, %s / %g\n", flags.output.c_str(), options.architecture.c_str(),
              static_cast<long long>(options.num_classes), p.bgr ? "BGR" : "RGB", p.divisor);
  return absl::OkStatus();
}

int Import(const Flags& flags) {
  std::error_code error;
  if (!flags.force && std::filesystem::exists(flags.output, error)) {
    return Fail(absl::AlreadyExistsError(
        absl::StrCat(flags.output, " exists: name another file, or overwrite it with --force")));
  }
  const absl::Status status =
      flags.backbone_of.empty() ? ImportNetwork(flags) : ImportBackbone(flags);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace

void AddImportCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "import", "Turns weights of another code base (.pth, .safetensors, .pt) into a checkpoint");
  command
      ->add_option("FILE", flags->input,
                   "What torch.save wrote, a .safetensors file, or a TorchScript module, of which "
                   "the weights are read and nothing is run")
      ->required();
  command->add_option("-o,--out", flags->output, "File to write (.safetensors)")->required();
  command->add_option(
      "--layout", flags->layout,
      "Whose weights: cirkd, torchvision, aicsd or mmseg, which says their preprocessing; "
      "recognised by the names unless given");
  command
      ->add_option("--architecture", flags->architecture,
                   "Fail unless the file holds this architecture")
      ->check(CLI::IsMember(KnownArchitectures()));
  CLI::Option* const backbone =
      command
          ->add_option("--backbone-of", flags->backbone_of,
                       "FILE is an ImageNet classifier: give its backbone to this architecture; "
                       "the head is random")
          ->check(CLI::IsMember(KnownArchitectures()))
          ->excludes("--layout")
          ->excludes("--architecture");
  CLI::Option* const classes =
      command->add_option("--classes", flags->classes, "Number of classes, with --backbone-of")
          ->needs(backbone);
  backbone->needs(classes);
  command->add_option("--seed", flags->seed, "Of the random head, with --backbone-of")
      ->needs(backbone)
      ->capture_default_str();
  command->add_flag("--force", flags->force, "Overwrite an existing file");
  command->callback([flags, exit_code] { *exit_code = Import(*flags); });
}

}  // namespace reflux
