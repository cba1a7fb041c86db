// Uncompressed images in memory: binary PPM ("P6"), the form in which records of a CIFAR file count
// as encoded images (what sample digests are of, what travels to a teacher). Torch-free,
// thread-safe.
#pragma once

#include <cstdint>
#include <opencv2/core/mat.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "distill/data/image_header.h"

namespace reflux {

inline constexpr char kPpmStart[] = "P6\n";

// The header "P6\n<width> <height>\n255\n" and nothing else: no comments, no other white space.
// DataLoss for another form, or when 3 * width * height bytes do not follow it exactly;
// ResourceExhausted over View::kMaxSide pixels a side.
absl::StatusOr<ImageHeader> ReadPpmHeader(absl::string_view bytes);

// 8-bit BGR. Errors as above.
absl::StatusOr<cv::Mat> DecodePpm(absl::string_view bytes);

// From three planes of height x width bytes each: red, green, blue (a CIFAR record).
std::string PpmFromPlanes(absl::string_view planes, int32_t height, int32_t width);

}  // namespace reflux
