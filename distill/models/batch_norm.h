// Batch normalisation whose training statistics may span the ranks of a distributed run.
//
// Ioffe and Szegedy 2015; the moments of the ranks are combined as in Chan, Golub and LeVeque 1979.
// LibTorch has no SyncBatchNorm in C++ and no CPU kernels for one.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>

namespace reflux {

// The collective that synchronised batch norm needs. Called from forward and from backward, in the
// same order on every rank; blocking. Throws when a rank is lost.
class BatchNormSync {
 public:
  virtual ~BatchNormSync() = default;
  // The sum over all ranks, the same bits on each; `local` is a float64, float32 vector of the same
  // length everywhere, on the module's device. No gradient.
  virtual torch::Tensor AllReduceSum(torch::Tensor local) = 0;
  virtual int world_size() const = 0;
};

// Parameters and buffers as torch's BatchNorm2d: weight, bias, running_mean, running_var,
// num_batches_tracked. Evaluation, and training at world size 1, is at::batch_norm. In training at
// a larger world size the moments are those of all ranks' images (shares may differ, also be
// empty), computed in float32 at least; the output has the input's dtype.
//
// Gradients: the input's gradient is that of the sum of all ranks' losses; weight and bias get this
// rank's part of it. Averaged over the ranks, as DDP does, they are the single-process gradients of
// the mean of the ranks' losses (distill/losses/loss.h scales them so).
class BatchNorm2dImpl : public torch::nn::Module {
 public:
  explicit BatchNorm2dImpl(int64_t channels, double epsilon = 1e-5, double momentum = 0.1);

  // [N,C,H,W] -> [N,C,H,W]. In training throws c10::Error when a channel has a single value.
  torch::Tensor forward(const torch::Tensor& input);
  void set_sync(std::shared_ptr<BatchNormSync> sync) { sync_ = std::move(sync); }

  torch::Tensor weight, bias, running_mean, running_var, num_batches_tracked;

 private:
  torch::Tensor ForwardSynchronised(const torch::Tensor& input);
  double epsilon_, momentum_;
  std::shared_ptr<BatchNormSync> sync_;
};
TORCH_MODULE(BatchNorm2d);

// Sets the hook of every BatchNorm2d in `model`; null restores local statistics.
void SetBatchNormSync(torch::nn::Module& model, const std::shared_ptr<BatchNormSync>& sync);

}  // namespace reflux
