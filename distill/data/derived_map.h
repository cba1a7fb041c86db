// Maps of crops derived from the map of the whole image (views `whole`). Torch-free, thread-safe.
//
// Geometry. Position i of a map of stride s stands at pixel s i of its network's input: in every
// network here a stride comes from convolutions and pools whose windows are centred there (kernel
// 2p + 1, padding p), and an input of n pixels has floor((n - 1) / s) + 1 positions. A pixel x of
// an image resized from a to b pixels is pixel (x + 1/2) a / b - 1/2 of the original (half-pixel
// centres, as images are resized). So a position of the crop's map, mirrored back, moved by the
// crop's origin, scaled to the whole image's input and divided by s, is a place in the whole map;
// its value is interpolated there linearly along both axes. Places beyond the outermost positions
// take theirs; positions whose pixel is padding, about which the whole map says nothing, are 0 and
// excluded (LossInputs::padding).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "common/targets/target.h"

namespace reflux {

// Where the positions of a crop's map lie along one axis of the whole map.
struct DerivedAxis {
  struct Place {
    int32_t below = 0;   // position of the whole map at or before it
    float weight = 0;    // of the position after that; 0: only this one counts
    bool inside = true;  // false: padding
  };
  std::vector<Place> places;
  int32_t positions = 0;  // of the whole map
};

struct DerivedGrid {
  DerivedAxis rows, columns;
};

// The grid of `view`'s map in `whole`'s, of one image and at one stride; `whole` is a WholeView.
DerivedGrid DeriveGrid(const View& view, const View& whole, int32_t stride);

// `out` [C, rows, columns] from `whole` of `shape` [C,h,w]. When the view is the whole view itself
// the bits are the same. InvalidArgument when `shape` is not the grid's.
absl::Status DeriveMap(const float* whole, const std::array<int32_t, 3>& shape,
                       const DerivedGrid& grid, float* out);

}  // namespace reflux
