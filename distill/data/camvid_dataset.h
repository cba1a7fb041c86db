// CamVid in the SegNet tutorial's layout, which generated scenes share:
//
//   ROOT/train/NAME.jpg|png   ROOT/trainannot/NAME.png   (the same for val, test)
//
// A label is an 8-bit single-channel PNG: class index 0..10, or 11 for void (ignored).
#pragma once

#include "distill/data/dataset.h"

namespace reflux {

inline constexpr int kCamVidIgnore = 11;
const std::vector<std::string>& CamVidClassNames();

absl::StatusOr<std::unique_ptr<Dataset>> OpenCamVid(const DatasetOptions& options);

}  // namespace reflux
