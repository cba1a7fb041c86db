#include "distill/data/derived_map.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

int32_t Positions(int32_t pixels, int32_t stride) { return (pixels - 1) / stride + 1; }

struct AxisOfView {
  int32_t crop, origin, resized;  // of the view
  int32_t whole;                  // pixels of the whole view
  bool mirrored;
};

DerivedAxis DeriveAxis(const AxisOfView& axis, int32_t stride) {
  DerivedAxis result{.positions = Positions(axis.whole, stride)};
  const double ratio = static_cast<double>(axis.whole) / axis.resized;
  for (int32_t i = 0; i < Positions(axis.crop, stride); ++i) {
    const int32_t in_crop = axis.mirrored ? axis.crop - 1 - i * stride : i * stride;
    const int32_t pixel = axis.origin + in_crop;
    const double place = ((pixel + 0.5) * ratio - 0.5) / stride;
    const double clamped = std::clamp(place, 0.0, static_cast<double>(result.positions - 1));
    const double below = std::floor(clamped);
    result.places.push_back({.below = static_cast<int32_t>(below),
                             .weight = static_cast<float>(clamped - below),
                             .inside = pixel >= 0 && pixel < axis.resized});
  }
  return result;
}

// One row of the crop's map of one channel.
void DeriveRow(const float* channel, int32_t width, const DerivedAxis::Place& row,
               const DerivedAxis& columns, float* out) {
  const float* above = channel + int64_t{row.below} * width;
  const float* below = row.weight > 0 ? above + width : above;
  for (size_t x = 0; x < columns.places.size(); ++x) {
    const DerivedAxis::Place& place = columns.places[x];
    const int32_t left = place.below, right = left + (place.weight > 0 ? 1 : 0);
    const float upper = above[left] + place.weight * (above[right] - above[left]);
    const float lower = below[left] + place.weight * (below[right] - below[left]);
    out[x] = place.inside ? upper + row.weight * (lower - upper) : 0.0F;
  }
}

}  // namespace

DerivedGrid DeriveGrid(const View& view, const View& whole, int32_t stride) {
  return {.rows = DeriveAxis({view.crop_height, view.crop_y, view.resized_height,
                              whole.resized_height, /*mirrored=*/false},
                             stride),
          .columns = DeriveAxis(
              {view.crop_width, view.crop_x, view.resized_width, whole.resized_width, view.flip},
              stride)};
}

absl::Status DeriveMap(const float* whole, const std::array<int32_t, 3>& shape,
                       const DerivedGrid& grid, float* out) {
  if (shape[1] != grid.rows.positions || shape[2] != grid.columns.positions) {
    return absl::InvalidArgumentError(absl::StrCat("the map of the whole image has ", shape[1], "x",
                                                   shape[2],
                                                   " positions where its stride "
                                                   "means ",
                                                   grid.rows.positions, "x", grid.columns.positions,
                                                   ": views of this tap cannot be "
                                                   "derived"));
  }
  const auto width = static_cast<int64_t>(grid.columns.places.size());
  for (int32_t c = 0; c < shape[0]; ++c) {
    const float* channel = whole + int64_t{c} * shape[1] * shape[2];
    for (const DerivedAxis::Place& row : grid.rows.places) {
      if (row.inside) {
        DeriveRow(channel, shape[2], row, grid.columns, out);
      } else {
        std::fill(out, out + width, 0.0F);
      }
      out += width;
    }
  }
  return absl::OkStatus();
}

}  // namespace reflux
