// Palette PNGs, which OpenCV neither reads as indices nor writes. A palette PNG and a grey one hold
// their pixels alike, so it is enough to change what the header calls them. Torch-free,
// thread-safe.
#pragma once

#include <opencv2/core.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace reflux {

// Whether `png` is a PNG with a palette; `*bits` receives the bits of an index, 1 to 8.
bool IsPalettePng(absl::string_view png, int* bits);

// The same file as a grey PNG of its indices (which decoders stretch to 0..255 below 8 bits).
// `png` is a whole palette PNG (ReadImageHeader).
std::string GreyFromPalettePng(absl::string_view png);

// 8-bit indices as a palette PNG. Entries beyond `palette` (BGR) are black, but 255, the void of
// VOC, which has its published (224, 224, 192).
absl::StatusOr<std::string> EncodePalettePng(const cv::Mat& indices,
                                             const std::vector<cv::Vec3b>& palette);

}  // namespace reflux
