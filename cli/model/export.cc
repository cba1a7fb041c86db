// reflux-model export: a network for other programs.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/model/commands.h"
#include "cli/model/network_file.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/checkpoint/scripted_model.h"
#include "distill/export/onnx_export.h"

namespace reflux {
namespace {

struct Flags {
  std::string checkpoint, onnx, safetensors, torchscript;
  NetworkFlags network;
};

absl::Status WriteOnnx(const Flags& flags, const ModelCheckpoint& checkpoint) {
  const CheckpointInfo& info = checkpoint.info;
  absl::Status written = ExportOnnx(flags.onnx, checkpoint);
  if (absl::IsUnimplemented(written) && info.options.architecture == kTorchScript) {
    // The program may do whatever PyTorch can; its own exporter knows all of that.
    return absl::UnimplementedError(
        absl::StrCat(written.message(),
                     ". PyTorch's own exporter may: torch.onnx.export of the network in "
                     "Python. --safetensors writes the weights alone"));
  }
  REFLUX_RETURN_IF_ERROR(written);
  std::printf(
      "%s: %s, ONNX opset %lld; image [batch, 3, height, width], %s / %g; logits at stride "
      "%lld\n",
      flags.onnx.c_str(), info.options.architecture.c_str(), static_cast<long long>(kOnnxOpset),
      info.preprocessing.bgr ? "BGR" : "RGB", info.preprocessing.divisor,
      static_cast<long long>(info.options.output_stride));
  return absl::OkStatus();
}

absl::Status WriteWeights(const Flags& flags, const ModelCheckpoint& checkpoint) {
  REFLUX_RETURN_IF_ERROR(
      SaveModelCheckpoint(flags.safetensors, *checkpoint.model, checkpoint.info));
  const bool program = checkpoint.info.options.architecture == kTorchScript;
  std::printf(
      "%s: the weights of a %s%s\n", flags.safetensors.c_str(),
      checkpoint.info.options.architecture.c_str(),
      program ? " module; its program is not in the file, so no network is made of it here" : "");
  return absl::OkStatus();
}

absl::Status WriteModule(const Flags& flags, const ModelCheckpoint& checkpoint) {
  const auto* const module = dynamic_cast<const ScriptedModel*>(checkpoint.model.get());
  if (module == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat("--torchscript writes TorchScript modules alone; ", flags.checkpoint, " is a ",
                     checkpoint.model->architecture(), ": --onnx writes it for other programs"));
  }
  REFLUX_RETURN_IF_ERROR(module->Save(flags.torchscript, checkpoint.info.preprocessing));
  const Preprocessing& p = checkpoint.info.preprocessing;
  std::printf("%s: the module, with its preprocessing: %s / %g\n", flags.torchscript.c_str(),
              p.bgr ? "BGR" : "RGB", p.divisor);
  return absl::OkStatus();
}

absl::Status Export(const Flags& flags) {
  REFLUX_ASSIGN_OR_RETURN(const ModelCheckpoint checkpoint,
                          LoadNetwork(flags.checkpoint, flags.network));
  if (!flags.safetensors.empty()) REFLUX_RETURN_IF_ERROR(WriteWeights(flags, checkpoint));
  if (!flags.torchscript.empty()) REFLUX_RETURN_IF_ERROR(WriteModule(flags, checkpoint));
  return flags.onnx.empty() ? absl::OkStatus() : WriteOnnx(flags, checkpoint);
}

int Run(const Flags& flags) {
  absl::Status status = CheckNetworkFlags(flags.network, {flags.checkpoint});
  if (!status.ok()) return FailUsage(status);
  status = Export(flags);
  return status.ok() ? kExitDone : Fail(status);
}

}  // namespace

void AddExportCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("export", "Writes a network as ONNX, safetensors or TorchScript");
  command->add_option("CKPT", flags->checkpoint, "Checkpoint, of any kind that inspect reads")
      ->required();
  CLI::Option_group* const outputs = command->add_option_group("outputs", "What to write");
  outputs->add_option("--onnx", flags->onnx, "ONNX file");
  outputs->add_option("--safetensors", flags->safetensors,
                      "The weights by name; of a TorchScript module without its program");
  outputs->add_option("--torchscript", flags->torchscript,
                      "A TorchScript module again, with --preprocessing in it");
  outputs->require_option(1, 0);
  AddNetworkFlags(*command, flags->network);
  command->callback([flags, exit_code] { *exit_code = Run(*flags); });
}

}  // namespace reflux
