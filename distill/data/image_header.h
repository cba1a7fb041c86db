// The size of an encoded image, read from its structure alone, before anything is decoded.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

struct ImageHeader {
  int32_t height = 0, width = 0;
  bool jpeg = false;
};

// Walks the segments of a JPEG or the chunks of a PNG up to its end marker; bytes after it are
// allowed (some cameras append data). DataLoss when it is neither, broken or truncated (OpenCV
// would fill what is missing with grey); ResourceExhausted over View::kMaxSide pixels a side.
absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view bytes);

}  // namespace reflux
