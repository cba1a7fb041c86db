// Dynamic batching: samples of different callers share a forward. Torch-free.
#pragma once

#include <memory>

#include "common/metrics/registry.h"
#include "common/targets/target.h"

namespace reflux {

struct BatchingOptions {
  int max_batch = 4;  // samples of one forward
  // How long the first sample of a batch waits for others.
  absl::Duration max_delay = absl::Milliseconds(5);
  // Samples waiting; a Fetch that would exceed it is refused with RESOURCE_EXHAUSTED.
  int max_queue = 1024;
};

struct BatchingMetrics {
  Gauge queued_samples;
  Counter batches, expired_samples;
  Histogram batch_samples, queue_seconds;
  static BatchingMetrics Register(MetricRegistry& registry);
};

// Thread-safe. One thread of its own calls `upstream` (not owned), one batch at a time; a batch
// holds samples with equal crop size and equal specs, waiting students before prefill, oldest
// first. A sample whose caller's deadline passed or who cancelled is answered before compute is
// spent on it. Deliveries run on the calling thread of Fetch. The destructor ends with the running
// batch and answers what waits with UNAVAILABLE.
std::unique_ptr<TargetSource> MakeBatchingSource(TargetSource& upstream,
                                                 const BatchingOptions& options,
                                                 const BatchingMetrics& metrics = {});

}  // namespace reflux
