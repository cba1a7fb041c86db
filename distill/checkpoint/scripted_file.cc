// Loading of scripted_model.h: the file is looked at before its program runs.
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "distill/checkpoint/byte_source.h"
#include "distill/checkpoint/checkpoint_info.h"
#include "distill/checkpoint/scripted_archive.h"
#include "distill/checkpoint/scripted_model.h"

namespace reflux {
namespace {

constexpr char kPreprocessing[] = "preprocessing";

absl::Status Unusable(const std::string& path, absl::string_view why) {
  // The first line says it; the rest is a trace of C++ functions.
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": TorchScript: ", why.substr(0, why.find("\nException raised"))));
}

}  // namespace

bool IsTorchScript(const std::string& path) {
  auto source = OpenByteSource(path);
  return source.ok() && LooksLikeTorchScript(*std::move(source));
}

ModelCheckpoint AsModelCheckpoint(const ScriptedCheckpoint& scripted) {
  ModelCheckpoint checkpoint{.model = scripted.model};
  ModelOptions& options = checkpoint.info.options;
  options.architecture = kTorchScript;
  options.num_classes = scripted.model->num_classes();
  options.aux = false;
  for (const TapInfo& tap : scripted.model->taps()) {
    if (tap.name == "logits") options.output_stride = tap.stride;
    if (tap.name == "aux") options.aux = true;
  }
  checkpoint.info.preprocessing = scripted.preprocessing;
  return checkpoint;
}

absl::StatusOr<ScriptedCheckpoint> LoadScriptedModel(const std::string& path) {
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<const ByteSource> source, OpenByteSource(path));
  REFLUX_ASSIGN_OR_RETURN(const ScriptedArchive file, ScriptedArchive::Open(std::move(source)));
  REFLUX_RETURN_IF_ERROR(file.CheckEntries());
  REFLUX_ASSIGN_OR_RETURN(std::string digest, file.CodeDigest());
  ScriptedCheckpoint checkpoint;
  torch::jit::ExtraFilesMap extra = {{kPreprocessing, ""}};
  try {
    torch::jit::Module module = torch::jit::load(path, torch::kCPU, extra);
    checkpoint.model = std::make_shared<ScriptedModel>(std::move(module), std::move(digest));
  } catch (const c10::Error& error) {
    return Unusable(path, error.what_without_backtrace());
  } catch (const std::exception& error) {
    return Unusable(path, error.what());
  }
  if (extra.at(kPreprocessing).empty()) return checkpoint;
  REFLUX_ASSIGN_OR_RETURN(checkpoint.preprocessing,
                          ParsePreprocessing(path, extra.at(kPreprocessing)));
  return checkpoint;
}

}  // namespace reflux
