// Collective operations among the ranks of one generation of a job (design 6 and 9).
//
// Every rank calls the same collectives in the same order with tensors of the same shape and dtype;
// each call blocks until all ranks take part. On CUDA tensors "done" means done for the current
// stream. Sums are deterministic at a given world size and have the same bits on every rank.
//
// Errors: when a rank is lost or the time-out passes, collectives throw c10::Error that names the
// operation and the rank. They are called from inside forward and backward passes, where LibTorch's
// own errors are exceptions too; the trainer converts both in one place. A process group does not
// recover: the process ends and a new generation starts.
#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "student_worker/collectives/gradient_reducer.h"

namespace reflux {

// Not thread-safe, except that autograd may call it from backward while the owner waits there.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int world_size() const = 0;

  // Replaces `tensor` by its sum over all ranks. In place, any strides, not differentiable.
  virtual void AllReduceSum(torch::Tensor& tensor) = 0;

  // Replaces `tensor` by that of rank `root`. In place, any strides, not differentiable.
  virtual void Broadcast(torch::Tensor& tensor, int root) = 0;

  // Returns when every rank has called it.
  virtual void Barrier() = 0;

  // The sum over all ranks. Its gradient with respect to each rank's tensor is the sum over all
  // ranks of the gradients they receive, exchanged inside backward: every rank must run backward
  // through it. The communicator must outlive the graph. With one rank it is `tensor` itself.
  torch::Tensor AllReduceSumDifferentiable(const torch::Tensor& tensor);

  // A reducer of the gradients of `parameters` (those that require one), in the same order on every
  // rank; the reducer must not outlive the communicator. A collective call itself: it may connect a
  // second set of channels, so that gradients never interleave with other collectives.
  // InvalidArgument for bad options or no parameters; Unavailable when a rank does not come within
  // the time-out or its parameters differ from rank 0's in number or shape.
  virtual absl::StatusOr<std::unique_ptr<GradientReducer>> MakeGradientReducer(
      const std::vector<torch::Tensor>& parameters, const GradientReducerOptions& options) = 0;
};

// The only rank of a world of one: every operation is the identity.
class SingleProcessCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int world_size() const override { return 1; }
  void AllReduceSum(torch::Tensor&) override {}
  void Broadcast(torch::Tensor&, int) override {}
  void Barrier() override {}
  absl::StatusOr<std::unique_ptr<GradientReducer>> MakeGradientReducer(
      const std::vector<torch::Tensor>& parameters, const GradientReducerOptions& options) override;
};

}  // namespace reflux
