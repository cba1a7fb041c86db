// A TorchScript module as a network: what torch.jit.save wrote, from Python's script or trace.
//
// Such a file is a program. Loading it runs its code in this process with all its rights: load
// files that you would run. That is why nothing is taken for TorchScript unless someone says so
// (`layout: torchscript`); every other file is only read (torch_file.h).
#pragma once

#include <torch/script.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/checkpoint/model_checkpoint.h"

namespace reflux {

constexpr char kTorchScript[] = "torchscript";  // as layout and as architecture

// `forward` takes [N,3,H,W]. Taps are its outputs of four dimensions: a tensor is "logits"; of a
// tuple or list the first is "logits", the others "output1", ... (a named tuple: its fields); of a
// dict its keys. "out", as torchvision's networks have, is "logits" where there is no other. Module
// paths are no taps: a TorchScript module has no hooks. Logits belong to the image without aligned
// corners. The code runs without the JIT's optimisations, which would change results from the
// second call on.
//
// Parameters and buffers are the module's own, under its names. configuration() is the digest of
// the serialised code, its constants and attributes, so that it is part of a teacher's identity.
class ScriptedModel : public SegmentationModel {
 public:
  // Runs the module on two small images to learn its outputs. Throws c10::Error when it fails, has
  // no logits, or its outputs do not follow the image's size, as those of a trace may not.
  ScriptedModel(torch::jit::Module module, std::string code_digest);

  TapOutputs Forward(const torch::Tensor& images, const std::vector<std::string>& wanted) override;
  std::vector<TapInfo> taps() const override { return taps_; }
  int64_t num_classes() const override { return taps_[logits_].channels; }
  std::string architecture() const override { return kTorchScript; }
  std::string configuration() const override { return "code=" + code_digest_; }
  bool align_corners() const override { return false; }
  void train(bool on = true) override;

  // Modules with running statistics. They normalise by what one process sees.
  const std::vector<std::string>& norms() const { return norms_; }
  // Operators that draw from LibTorch's random state, as dropout does.
  std::vector<std::string> random_operators() const;
  // Writes it with its weights as they are now and what its images are prepared by, for
  // torch.jit.load and LoadScriptedModel. PermissionDenied.
  absl::Status Save(const std::string& path, const Preprocessing& preprocessing) const;

 private:
  TapOutputs Run(const torch::Tensor& images);
  void LearnTaps();

  torch::jit::Module module_;
  const std::string code_digest_;
  std::vector<TapInfo> taps_;
  size_t logits_ = 0;
  std::vector<std::string> norms_;
};

struct ScriptedCheckpoint {
  std::shared_ptr<ScriptedModel> model;  // evaluation mode, CPU, float32
  // RGB and ImageNet's, unless the module was saved with _extra_files={"preprocessing": ...}, the
  // JSON of model_checkpoint.h.
  Preprocessing preprocessing;
};

// The same as the checkpoint of a network: its `info` says architecture "torchscript", classes,
// stride of the logits and preprocessing.
ModelCheckpoint AsModelCheckpoint(const ScriptedCheckpoint& scripted);

// Whether `path` is a TorchScript file, as far as its content can be read; runs nothing.
bool IsTorchScript(const std::string& path);

// RUNS THE PROGRAM that the file holds. NotFound; DataLoss for a truncated or damaged file (its
// directory and the checksums of all that is not compressed are compared first); InvalidArgument
// for one that is not TorchScript, does not load or is no network of images.
absl::StatusOr<ScriptedCheckpoint> LoadScriptedModel(const std::string& path);

}  // namespace reflux
