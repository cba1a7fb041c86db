// What every edge case asks of a loss: a finite value and finite gradients, all of them there.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/distill/losses/scratch_losses.h"

namespace reflux {

// Backward through `loss`; each of its taps, plain or rotated, and each of its parameters must have
// a gradient, and that must be finite. Returns the value.
inline double FiniteBackward(Loss& loss, LossInputs inputs) {
  for (auto* maps : {&inputs.student, &inputs.rotated}) {
    for (auto& [tap, map] : *maps) map = map.detach().clone().requires_grad_();
  }
  const torch::Tensor value = ValueOf(loss, inputs);
  EXPECT_TRUE(value.isfinite().item<bool>());
  value.backward();
  const auto is_finite = [](const torch::Tensor& leaf) {
    return leaf.grad().defined() && leaf.grad().isfinite().all().item<bool>();
  };
  for (const std::string& tap : loss.student_taps()) {
    const auto rotated = inputs.rotated.find(tap);
    EXPECT_TRUE(is_finite(inputs.student.at(tap)) ||
                (rotated != inputs.rotated.end() && is_finite(rotated->second)))
        << tap;
  }
  for (const auto& item : loss.named_parameters()) {
    EXPECT_TRUE(is_finite(item.value())) << item.key();
  }
  return value.item<double>();
}

}  // namespace reflux
