// The losses as one writes them down from the formula: the yardstick of reflux-bench-losses. One
// rank, maps of equal size; no care for memory or for extreme values.
#pragma once

#include <torch/torch.h>

#include <string>

#include "distill/losses/loss.h"

namespace reflux {

// What the formulas need besides the maps. `tap` is the map of the feature losses.
struct NaiveInputs {
  torch::Tensor student, teacher;  // [N,C,h,w] and [N,C',h,w] of the loss's tap
  torch::Tensor labels;            // [N,h,w] int64, at the map's size; 0..num_classes-1
  int64_t num_classes = 0;
};

// The value of loss `name` ("kd", "icsd", "i2ckd", "cwd", "skd", "at", "fitnet", "ifvd", "csd",
// "cirkd", "contrast") with the options that `loss_cases.h` gives it. Throws c10::Error for another
// name.
torch::Tensor NaiveLoss(const std::string& name, const NaiveInputs& inputs);

}  // namespace reflux
