// Averages parameter gradients over the ranks while backward is still running.
//
// Gradients travel in buckets that are filled in reverse parameter order and never rebuilt, so at a
// given world size the same gradients give the same bits (Li et al., "PyTorch Distributed:
// Experiences on Accelerating Data Parallel Training", VLDB 2020). Not thread-safe.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "absl/status/status.h"

namespace reflux {

struct GradientReducerOptions {
  // The first bucket, of the last parameters, is small so that the exchange starts early.
  int64_t first_bucket_bytes = int64_t{1} << 20;
  int64_t bucket_bytes = int64_t{25} << 20;

  // InvalidArgument unless both are positive.
  absl::Status Validate() const;
};

// Made by Communicator::MakeGradientReducer. Holds hooks on the parameters while it lives; at most
// one at a time for a parameter, and never destroyed between PrepareForBackward and the end of
// backward.
class GradientReducer {
 public:
  virtual ~GradientReducer() = default;

  // Call on every rank after each forward pass and before its one backward pass, which must start
  // from `loss`; gradients must have been cleared (undefined or zero) before. When backward
  // returns, each gradient is the mean over all ranks. A parameter that this rank's graph does not
  // reach counts as a zero gradient; one that no rank reaches keeps the gradient it had.
  //
  // Backward then blocks until every rank takes part. Both throw std::exception (c10::Error or the
  // backend's) when a rank is lost or the time-out passes; the process should then end.
  virtual void PrepareForBackward(const torch::Tensor& loss) = 0;
};

}  // namespace reflux
