// Dropout without random state: the mask is a function of (seed, layer name, step, position of the
// image in the global batch, element), so it does not depend on how a batch is split over ranks,
// and a resumed run draws the same masks.
//
// Srivastava et al. 2014; the numbers are Philox4x32-10 (common/base/counter_random.h).
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace reflux {

struct DropoutContext {
  uint64_t seed = 0;            // the job's
  uint64_t step = 0;            // training step
  uint64_t first_position = 0;  // of this rank's first image in the global batch, below 2^32
};

// Not thread-safe in training mode. The mask is made on the CPU and copied to the input's device.
class CounterDropoutImpl : public torch::nn::Module {
 public:
  // Drops a value with probability `p` in [0, 1); the others are multiplied by 1 / (1 - p).
  explicit CounterDropoutImpl(double p);

  // [N,...] -> the same shape; identity in evaluation mode. In training mode with p > 0 throws
  // c10::Error unless a context has been set.
  torch::Tensor forward(const torch::Tensor& input);
  // `layer` names this module within the model.
  void set_context(const std::string& layer, const DropoutContext& context);

 private:
  torch::Tensor Mask(torch::IntArrayRef shape) const;  // 0 and 1, uint8, CPU
  double p_;
  uint64_t key_ = 0;
  std::optional<DropoutContext> context_;
};
TORCH_MODULE(CounterDropout);

// Sets the context of every CounterDropout in `model`; call before each training forward.
void SetDropoutContext(torch::nn::Module& model, const DropoutContext& context);

}  // namespace reflux
