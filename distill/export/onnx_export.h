// Networks as ONNX files (opset 17), for any runtime that reads them.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "distill/checkpoint/model_checkpoint.h"

namespace reflux {

constexpr int64_t kOnnxOpset = 17;

// Writes the evaluation-mode network: input "image" [batch,3,height,width] in float32,
// preprocessed; output "logits" [batch,classes,rows,columns] at the network's stride, of a
// classifier [batch,classes]. All sizes but the channels are free. The metadata are the
// checkpoint's (preprocessing, classes, architecture, output_stride).
//
// The graph is that of the network's own forward, traced by LibTorch at two image sizes: a size
// that differs between the traces is computed from the map that has it in both. Unimplemented names
// an operator that has no translation here, or such a size that no map has. Appears whole or not at
// all. Changes `checkpoint.model`'s requires_grad flags (cleared), nothing else.
absl::Status ExportOnnx(const std::string& path, const ModelCheckpoint& checkpoint);

}  // namespace reflux
