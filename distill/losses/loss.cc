#include "distill/losses/loss.h"

#include <torch/nn/functional.h>

namespace reflux {
namespace {

// Pixels from one position of a map to the next: the power of two that gives `positions` of
// `pixels`, else the nearest whole number.
int64_t StrideOf(int64_t pixels, int64_t positions) {
  for (int64_t stride = 1; stride <= pixels; stride *= 2) {
    if ((pixels - 1) / stride + 1 == positions) return stride;
  }
  return positions > 1 ? (pixels - 1) / (positions - 1) : 1;
}

// [N,1,h,w] for a map of h x w: `padding` [N,H,W] at the pixels of its positions.
torch::Tensor AtPositions(const torch::Tensor& padding, int64_t height, int64_t width) {
  const auto pixels = [&](int64_t positions, int64_t size) {
    return torch::arange(positions, torch::TensorOptions(torch::kInt64).device(padding.device())) *
           StrideOf(size, positions);
  };
  return padding.index_select(1, pixels(height, padding.size(1)))
      .index_select(2, pixels(width, padding.size(2)))
      .unsqueeze(1);
}

}  // namespace

LossInputs WithoutPadding(const LossInputs& inputs) {
  if (!inputs.padding.defined()) return inputs;
  LossInputs result = inputs;
  const auto clear = [&](std::map<std::string, torch::Tensor>& side) {
    for (auto& [tap, map] : side)
      map = map.masked_fill(AtPositions(inputs.padding, map.size(2), map.size(3)), 0);
  };
  clear(result.student);
  clear(result.teacher);
  for (auto& [teacher, side] : result.teachers) clear(side);
  return result;
}

const torch::Tensor& RequireMap(const std::map<std::string, torch::Tensor>& maps,
                                const std::string& tap, const std::string& side) {
  const auto found = maps.find(tap);
  TORCH_CHECK_VALUE(found != maps.end() && found->second.defined(), "a loss needs the map '", tap,
                    "' of the ", side, ", which gave none: ask for a tap that the network has");
  return found->second;
}

int64_t GlobalBatch(const LossInputs& inputs, int64_t share) {
  if (inputs.global_batch > 0) return inputs.global_batch;
  return static_cast<int64_t>(inputs.first_position) + share;
}

torch::Tensor UnitVectors(const torch::Tensor& map, int64_t dim) {
  namespace F = torch::nn::functional;
  return F::normalize(map, F::NormalizeFuncOptions().p(2).dim(dim).eps(1e-12));
}

torch::Tensor SquaredDistance(const torch::Tensor& student, const torch::Tensor& teacher) {
  return torch::mse_loss(student, teacher, torch::Reduction::Sum);
}

}  // namespace reflux
