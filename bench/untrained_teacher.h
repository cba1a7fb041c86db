// A teacher to measure with: no checkpoint is needed.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "distill/models/segmentation_model.h"

namespace reflux {

// Untrained, but with residual branches damped: with batch norms that have seen no data its maps
// would otherwise double in variance at each of 33 blocks and leave the range of fp16.
absl::StatusOr<std::shared_ptr<SegmentationModel>> UntrainedTeacher(
    const std::string& architecture);

}  // namespace reflux
