#include "distill/tensors/resize.h"

#include <torch/nn/functional.h>

#include <vector>

namespace reflux {
namespace {

namespace F = torch::nn::functional;

bool HasSize(const torch::Tensor& map, int64_t height, int64_t width) {
  return map.size(2) == height && map.size(3) == width;
}

}  // namespace

torch::Tensor ResizeBilinear(const torch::Tensor& map, int64_t height, int64_t width,
                             bool align_corners) {
  if (HasSize(map, height, width)) return map;
  return F::interpolate(map, F::InterpolateFuncOptions()
                                 .size(std::vector<int64_t>{height, width})
                                 .mode(torch::kBilinear)
                                 .align_corners(align_corners));
}

torch::Tensor ResizeNearest(const torch::Tensor& map, int64_t height, int64_t width) {
  if (HasSize(map, height, width)) return map;
  return F::interpolate(
      map,
      F::InterpolateFuncOptions().size(std::vector<int64_t>{height, width}).mode(torch::kNearest));
}

}  // namespace reflux
