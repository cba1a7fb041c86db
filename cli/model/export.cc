// reflux-model export: a checkpoint for other programs.
#include <cstdio>
#include <memory>
#include <string>

#include "cli/model/commands.h"
#include "common/base/exit_codes.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/model_checkpoint.h"
#include "distill/export/onnx_export.h"

namespace reflux {
namespace {

struct Flags {
  std::string checkpoint, onnx;
};

absl::Status Export(const Flags& flags) {
  REFLUX_ASSIGN_OR_RETURN(const ModelCheckpoint checkpoint, LoadModelCheckpoint(flags.checkpoint));
  REFLUX_RETURN_IF_ERROR(ExportOnnx(flags.onnx, checkpoint));
  const Preprocessing& p = checkpoint.info.preprocessing;
  std::printf(
      "%s: %s, ONNX opset %lld; image [batch, 3, height, width], %s / %g; logits at stride "
      "%lld\n",
      flags.onnx.c_str(), checkpoint.info.options.architecture.c_str(),
      static_cast<long long>(kOnnxOpset), p.bgr ? "BGR" : "RGB", p.divisor,
      static_cast<long long>(checkpoint.info.options.output_stride));
  return absl::OkStatus();
}

}  // namespace

void AddExportCommand(CLI::App& app, int* exit_code) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("export", "Writes a checkpoint as an ONNX file");
  command->add_option("CKPT", flags->checkpoint, "Checkpoint, of any kind that inspect reads")
      ->required();
  command->add_option("--onnx", flags->onnx, "File to write")->required();
  command->callback([flags, exit_code] {
    const absl::Status status = Export(*flags);
    *exit_code = status.ok() ? kExitDone : Fail(status);
  });
}

}  // namespace reflux
