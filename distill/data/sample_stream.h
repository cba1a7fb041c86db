// The order in which training sees samples: a pure function, the same for any number of ranks.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/counter_random.h"
#include "common/base/mutex.h"

namespace reflux {

struct Draw {
  int64_t sample = 0;    // index into the data set
  int64_t view = 0;      // number of the view (DrawView)
  int64_t position = 0;  // in the global batch, 0..global_batch-1
  auto operator<=>(const Draw&) const = default;
};

struct SampleStreamOptions {
  int64_t samples = 0;  // size of the data set
  int64_t global_batch = 1;
  int64_t replay = 8;  // views an image; 0: a fresh view number at every draw
  uint64_t seed = 0;   // the job's

  // InvalidArgument unless there are samples and a batch.
  absl::Status Validate() const;
};

// The stream is the concatenation of one permutation an epoch; step s takes positions [sB, (s+1)B).
class SampleStream {
 public:
  // `options` must be valid.
  explicit SampleStream(const SampleStreamOptions& options);

  // Draws of `rank` at `step`: a contiguous share of the global batch; shares differ by at most
  // one. Thread-safe.
  std::vector<Draw> Draws(int64_t step, int64_t rank, int64_t world_size) const;

 private:
  using Order = std::shared_ptr<const std::vector<int64_t>>;

  Draw At(int64_t stream_position, const std::vector<int64_t>& order) const;
  // The permutation of an epoch. The last few are kept: drawing one costs as much as a pass over
  // the samples, and batches made ahead take turns in at most a few.
  Order OrderOf(int64_t epoch) const;

  const SampleStreamOptions options_;
  const CounterRandom order_, view_;
  mutable Mutex mutex_;
  mutable std::deque<std::pair<int64_t, Order>> orders_ REFLUX_GUARDED_BY(mutex_);
};

// First position of `rank`'s share of a batch of `total`.
int64_t ShareBegin(int64_t total, int64_t rank, int64_t world_size);

}  // namespace reflux
