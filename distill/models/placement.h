// Where a network's tensors live and in which form.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

namespace reflux {

// Moves parameters and buffers of `module` to `device`, the floating ones also to `dtype` (integer
// buffers such as num_batches_tracked keep theirs, which Module::to would convert), and with
// `channels_last` lays four-dimensional parameters out channels-last. Values change only by the
// conversion.
void PlaceModule(torch::nn::Module& module, const torch::Device& device, torch::ScalarType dtype,
                 bool channels_last);

// Blocks until `device` has done what this thread gave it.
void AwaitDevice(const torch::Device& device);

}  // namespace reflux
