// Maps of another size, [N,C,h,w] -> [N,C,height,width]. A map that has the size already is
// returned as it is. Thread-safe, differentiable.
#pragma once

#include <torch/types.h>

namespace reflux {

torch::Tensor ResizeBilinear(const torch::Tensor& map, int64_t height, int64_t width,
                             bool align_corners);
torch::Tensor ResizeNearest(const torch::Tensor& map, int64_t height, int64_t width);

}  // namespace reflux
