// The metadata of a model file and what its tensors say. Internal to distill/checkpoint.
#pragma once

#include <string>

#include "distill/checkpoint/model_checkpoint.h"

namespace reflux {

StringMap EncodeCheckpointInfo(const CheckpointInfo& info);
// The JSON of the metadata "preprocessing", and back; InvalidArgument names `path`.
std::string EncodePreprocessing(const Preprocessing& preprocessing);
absl::StatusOr<Preprocessing> ParsePreprocessing(const std::string& path, const std::string& text);

// Whether a file with these metadata is one that SaveModelCheckpoint wrote.
bool IsOwnFormat(const StringMap& metadata);
// The metadata of a file of another code base, as far as its layout says it.
StringMap LayoutMetadata(const Preprocessing& preprocessing);

// From the metadata, or without any from the tensors' names and shapes; the class count and width
// are always the tensors'. InvalidArgument when both speak and differ.
absl::StatusOr<CheckpointInfo> ReadCheckpointInfo(const WeightFile& file);

}  // namespace reflux
