// Tiny data sets in the official layouts: two images in each split that a recipe uses.
#pragma once

#include <string>

namespace reflux {

// Writes a data set of `format` (a published one of docs/data.md; not folders) below `root`: each
// image is height x width, its left half of one class and its right half of another. CIFAR's images
// are 32x32, of one class each.
void WriteTinyDataSet(const std::string& format, const std::string& root, int height, int width);

}  // namespace reflux
