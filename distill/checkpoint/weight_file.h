// A file of named weights of any format that is read: safetensors, or what torch.save wrote.
#pragma once

#include <torch/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/checkpoint/checkpoint_layout.h"
#include "distill/tensors/safetensors.h"

namespace reflux {

struct WeightEntry {
  torch::Dtype dtype = torch::kFloat32;
  std::vector<int64_t> shape;
};

// Thread-safe. Names are those of our networks (checkpoint_layout.h renames).
class WeightFile {
 public:
  virtual ~WeightFile() = default;
  // A copy on the CPU, contiguous. NotFound; DataLoss when the file has shrunk. Blocks on the disk.
  virtual absl::StatusOr<torch::Tensor> Load(const std::string& name) const = 0;

  const std::string& path() const { return path_; }
  // Of a safetensors file its own; of a torch.save file "layout" and the preprocessing that belongs
  // to it, as model_checkpoint.h has them.
  const StringMap& metadata() const { return metadata_; }
  const std::map<std::string, WeightEntry>& entries() const { return entries_; }
  bool Contains(const std::string& name) const { return entries_.count(name) > 0; }
  // Whose names and preprocessing it has: "reflux" for a checkpoint of our own, a name of
  // checkpoint_layout.h (as it was asked for, else by the names of its tensors), or "" when none
  // fits.
  std::string LayoutName() const;
  // That in words: "cirkd (CIRKD and Af-DCD), guessed from the names of its tensors".
  std::string LayoutText() const;
  // Lines "name: value" about the format, for people.
  const std::vector<std::string>& remarks() const { return remarks_; }

 protected:
  explicit WeightFile(std::string path) : path_(std::move(path)) {}
  // In the metadata.
  void SetLayout(const CheckpointLayout& layout);
  void SetPreprocessing(const Preprocessing& preprocessing);
  std::string path_;
  StringMap metadata_;
  std::map<std::string, WeightEntry> entries_;
  std::vector<std::string> remarks_;
};

// By content, whatever its name. Errors as SafetensorsFile::Open and ReadTorchFile. `layout`: ""
// and "auto" take what the file says, a torch.save file by its names; "reflux" wants a checkpoint
// of our own (FailedPrecondition for another); a name of checkpoint_layout.h gives that layout's
// preprocessing whatever the file says; InvalidArgument for an unknown one.
absl::StatusOr<std::unique_ptr<WeightFile>> OpenWeightFile(const std::string& path,
                                                           const std::string& layout = "");

// The parameters and buffers of a TorchScript module, under its names, without running it: whether
// a network of ours with the same names computes what its program does is not looked at. The
// preprocessing is the layout's, if one is named, else what was saved with the module, else that
// of the layout that its names have. Errors as ListScriptedFile and of an unknown layout.
absl::StatusOr<std::unique_ptr<WeightFile>> OpenScriptedWeights(const std::string& path,
                                                                const std::string& layout = "");

}  // namespace reflux
