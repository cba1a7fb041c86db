// The losses as one writes them down from the formula: the yardstick of reflux-bench-losses. One
// rank, maps of equal size; no care for memory or for extreme values.
#pragma once

#include <torch/types.h>

#include <functional>
#include <map>
#include <string>

#include "distill/losses/loss.h"

namespace reflux {

struct NaiveInputs {
  torch::Tensor student, teacher;  // [N,C,h,w] and [N,C',h,w] of the loss's tap; FRSKD: no teacher
  torch::Tensor labels;            // [N,H,W] int64: 0..num_classes-1, 255 where ignored
  int64_t num_classes = 0;
  // Of losses with tensors of their own, so that every form computes with the same.
  std::map<std::string, torch::Tensor> maps;     // further maps of the student, by tap
  std::map<std::string, torch::Tensor> weights;  // the loss's parameters, which learn as well
  std::map<std::string, torch::Tensor> given;    // its buffers and what it draws; may be written
};

// A loss as a function of its inputs.
using LossForm = std::function<torch::Tensor(const NaiveInputs&)>;

// The value of loss `name`, a case of `loss_cases.h`, with the options that it has there. Throws
// c10::Error for another name.
torch::Tensor NaiveLoss(const std::string& name, const NaiveInputs& inputs);

// What several formulas are made of. `vectors` by their lengths along `dim`; the mean over
// positions of KL(softmax of `teacher` || softmax of `student`), both along dimension 1; FRSKD's
// and AT's attention, [N,C,h,w] -> [N,h w].
torch::Tensor NaiveUnit(const torch::Tensor& vectors, int64_t dim);
torch::Tensor NaiveDivergence(const torch::Tensor& student, const torch::Tensor& teacher);
torch::Tensor NaiveAttention(const torch::Tensor& map);

}  // namespace reflux
