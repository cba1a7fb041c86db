// Dynamic batching: samples of different callers share a forward. Torch-free.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "common/base/clock.h"
#include "common/metrics/registry.h"
#include "common/targets/target.h"
#include "teacher_server/batch_queue.h"

namespace reflux {

struct BatchingOptions {
  BatchQueueOptions queue;
  // Of a caller's targets that it has not taken: nothing more is computed for it beyond them.
  int64_t max_held_bytes = int64_t{256} << 20;
  // The first thing that each runner's thread does; may be null.
  std::function<void()> begin_runner;
  const Clock* clock = &SystemClock();
};

struct BatchingMetrics {
  Gauge queued_samples;
  Counter batches, expired_samples, refused_full, refused_late;
  Histogram batch_samples, queue_seconds, batch_seconds;
  static BatchingMetrics Register(MetricRegistry& registry);
};

// Thread-safe. As many threads of its own as there are runners call `upstream` (not owned), each
// one batch at a time, in the order of batch_queue.h. A sample whose caller's deadline passed or
// who cancelled is answered before compute is spent on it. A caller whose sink blocks keeps its
// places in the queue, and memory of max_held_bytes and a batch; the others' samples pass it by.
// Deliveries run on the calling thread of Fetch. The destructor ends with the running batches and
// answers what waits with UNAVAILABLE.
std::unique_ptr<TargetSource> MakeBatchingSource(TargetSource& upstream,
                                                 const BatchingOptions& options,
                                                 const BatchingMetrics& metrics = {});

}  // namespace reflux
