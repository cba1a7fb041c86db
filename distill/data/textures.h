// Generated data sets in CIFAR's binary form: 32x32 textures whose class is the pattern, in any
// colours. For trying classification without a download. Torch-free, thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <opencv2/core/mat.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace reflux {

struct TextureSetOptions {
  std::string format = "cifar100";     // cifar10 or cifar100
  int64_t train = 10000, test = 2000;  // images; the first of a longer set are the same
  uint64_t seed = 0;

  // InvalidArgument names the field, its value and what is allowed.
  absl::Status Validate() const;
  // One line: what decides the files' bytes.
  std::string ToString() const;
  static constexpr int64_t kMaxImages = 1000000;
};

// Image `number` of `texture` (0..99), 8-bit BGR: groups of five textures share a pattern (stripes,
// checks, dots, rings, in five proportions) and differ in its direction, of rings in their
// distance; direction, scale, place, colours, light, noise and a patch of another texture change
// from image to image. A function of its arguments alone (and of the mathematical library's sine).
cv::Mat DrawTexture(uint64_t seed, int texture, uint64_t number);

// Fills `folder` (created if needed) with the files of cifar.h and the names of the classes; image
// i is of class i modulo their number. The ten classes of cifar10 are textures 0, 5 ... 45, one
// direction of ten patterns: mirrored, an image keeps its class. textures.txt records the options
// and is written last: a folder that has it, with the same options, is left alone (false).
// FailedPrecondition when the folder holds something else; otherwise the errors of writing files.
// `progress(done, total)` may be null.
absl::StatusOr<bool> WriteTextures(const std::string& folder, const TextureSetOptions& options,
                                   const std::function<void(int64_t, int64_t)>& progress);

}  // namespace reflux
