// Networks on disk: safetensors with the reference's parameter names, and in the metadata what the
// weights do not say.
//
// Metadata (all strings): format "reflux-model-1"; architecture; num_classes; output_stride;
// aspp_width; aux "true"/"false"; norm_epsilon; preprocessing (JSON {"order": "RGB"|"BGR",
// "divisor", "mean": [3], "deviation": [3]}, in `order`); classes (JSON list of names); anything
// else the writer adds ("step", "job"). A file without metadata (converted from another code base)
// is read by its names: architecture, classes, width and auxiliary head from the tensors, the
// architecture's own output stride, the default preprocessing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/digest.h"
#include "common/targets/target.h"
#include "distill/checkpoint/weight_file.h"
#include "distill/models/model_options.h"
#include "distill/models/segmentation_model.h"
#include "distill/tensors/safetensors.h"

namespace reflux {

// What belongs to a checkpoint besides its weights.
struct CheckpointInfo {
  ModelOptions options;  // dropout rates and norm_momentum are not stored
  Preprocessing preprocessing;
  std::vector<std::string> classes;  // names by index; empty: unknown
  StringMap extra;                   // further metadata, e.g. "step"
};

struct ModelCheckpoint {
  std::shared_ptr<SegmentationModel> model;  // evaluation mode, CPU, float32
  CheckpointInfo info;
};

// Writes atomically (WriteSafetensors). `info.options` must describe `model`: InvalidArgument when
// architecture, class count or the number of class names differ. The weights of a network that is
// not in the table of architectures (a TorchScript module) are written with its configuration();
// only LoadModelWeights reads them, into the same network.
absl::Status SaveModelCheckpoint(const std::string& path, const SegmentationModel& model,
                                 const CheckpointInfo& info);

// Builds the network that the file holds: safetensors, or what torch.save wrote in a layout of
// checkpoint_layout.h, whose preprocessing is then the network's; `layout` as in OpenWeightFile.
// Besides the errors of OpenWeightFile: NotFound for an unknown architecture, InvalidArgument when
// metadata and weights contradict each other.
absl::StatusOr<ModelCheckpoint> LoadModelCheckpoint(const WeightFile& file);
absl::StatusOr<ModelCheckpoint> LoadModelCheckpoint(const std::string& path,
                                                    const std::string& layout = "");

// Copies the weights into `model` (any device and floating dtype). FailedPrecondition when the file
// holds another architecture or class count; InvalidArgument for missing, unexpected (up to five
// named, all counted) or wrongly shaped tensors. On an error `model` is unchanged, except that a
// read error in the middle leaves it partly loaded. num_batches_tracked may be missing.
absl::Status LoadModelWeights(const std::string& path, SegmentationModel& model);

// The identity of a teacher's weights, independent of file and device: SHA-256 over fields, each
// one byte tag, 64-bit little-endian length, bytes. Tags: 1 "reflux-teacher-1"; 2 architecture;
// 3 class count (int64); 4 configuration(); then for every parameter and buffer but
// num_batches_tracked, names sorted: 5 name, 6 dtype ("F32" ...), 7 shape (int64 each),
// 8 the values row-major, little-endian.
Digest TeacherDigest(const SegmentationModel& model);

// What `reflux inspect` prints.
struct CheckpointSummary {
  std::string path;
  std::string layout, layout_text;  // as WeightFile has them
  CheckpointInfo info;
  bool has_metadata = false;  // false: info comes from the tensors and defaults
  int64_t parameters = 0;     // trainable numbers
  std::vector<TapInfo> taps;
  Digest digest;
  std::string ToString() const;  // several lines, "name: value"
};
// Loads the whole file (for the digest); errors as LoadModelCheckpoint.
absl::StatusOr<CheckpointSummary> InspectCheckpoint(const WeightFile& file);
absl::StatusOr<CheckpointSummary> InspectCheckpoint(const std::string& path);

}  // namespace reflux
