// Gradients against central differences, in double.
#pragma once

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <functional>

namespace reflux {

// The largest deviation of d value / d leaf over every `stride`-th entry of `leaf`.
inline double WorstDeviation(const std::function<torch::Tensor()>& value, torch::Tensor leaf,
                             int64_t stride) {
  const torch::Tensor gradient = torch::autograd::grad({value()}, {leaf})[0].flatten();
  torch::NoGradGuard no_grad;
  torch::Tensor flat = leaf.view(-1);
  constexpr double kStep = 1e-6;
  double worst = 0;
  for (int64_t i = 0; i < flat.numel(); i += stride) {
    const double before = flat[i].item<double>();
    flat[i] = before + kStep;
    const double above = value().item<double>();
    flat[i] = before - kStep;
    const double below = value().item<double>();
    flat[i] = before;
    const double numeric = (above - below) / (2 * kStep);
    worst = std::max(worst, std::abs(numeric - gradient[i].item<double>()));
  }
  return worst;
}

}  // namespace reflux
