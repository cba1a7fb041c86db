// A ring of feature vectors for each class, the memory of CIRKD (arXiv 2204.06986).
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace reflux {

// Not thread-safe. Buffers `vectors` [K,size,D] and `written` [K] (vectors ever taken in), so that
// a checkpoint holds the memory.
class FeatureQueueImpl : public torch::nn::Module {
 public:
  FeatureQueueImpl(int64_t num_classes, int64_t size, int64_t channels);

  // Takes in the rows of `vectors` [n,D], the oldest of the class making room.
  void Push(int64_t label, const torch::Tensor& vectors);
  // `per_class` vectors (or all, where there are fewer) of every class, [m,D], drawn by (seed,
  // step) alone; m is 0 while the queue is empty.
  torch::Tensor Sample(int64_t per_class, uint64_t seed, uint64_t step) const;

 private:
  const int64_t size_;
  torch::Tensor vectors_, written_;
};
TORCH_MODULE(FeatureQueue);

}  // namespace reflux
