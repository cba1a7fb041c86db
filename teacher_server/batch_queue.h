// Samples that wait for a forward: who is let in, who goes next and with whom. Not thread-safe; the
// time is passed in, by Clock::Uptime: a clock that is set delays no batch.
//
// Samples share a batch when crop size, specs and teacher agree: that is their bucket. Waiting
// students go before prefill, older before younger. While a student waits, only batches that a
// student leads are started; prefill of the same bucket fills them up.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/targets/target.h"

namespace reflux {

struct BatchQueueOptions {
  int max_batch = 4;
  absl::Duration max_delay =
      absl::Milliseconds(5);  // how long a batch's first sample waits for others
  int max_queue = 1024;       // samples; prefill may use half of it
  int runners = 1;
};

class BatchQueue {
 public:
  // What the queue reads of a Fetch; lives until each of its samples was taken.
  struct Caller {
    const FetchContext& context;
    const TargetRequest& request;
    // It has not taken what was computed for it: its other samples are passed over meanwhile.
    std::atomic<bool> stalled{false};
  };
  struct Item {
    std::shared_ptr<Caller> caller;
    size_t sample = 0;
    absl::Duration queued;  // by Clock::Uptime
    const SampleRef& ref() const { return caller->request.samples[sample]; }
  };

  explicit BatchQueue(const BatchQueueOptions& options) : options_(options) {}

  // All samples of the caller wait, or BusyError (common/rpc/status.h) with the time after which
  // there should be room: the queue is full, or the deadline would pass before the first of them is
  // served at the rate that was measured. (One that can be served in part is let in: what is
  // delivered in time need not be asked again.) A request larger than the queue is let into an
  // empty one. `left`: until the caller's deadline.
  absl::Status Admit(const std::shared_ptr<Caller>& caller, absl::Duration now,
                     absl::Duration left);
  // Whether the last refusal was for the deadline.
  bool refused_late() const { return refused_late_; }

  struct Next {
    std::vector<Item> expired;  // cancelled or too late: nothing is computed for them
    std::vector<Item> batch;    // to be run now; empty: look again at `due`, or after a change
    absl::Duration due = absl::InfiniteDuration();
  };
  Next Take(absl::Duration now);

  // A batch has taken so long.
  void Measured(absl::Duration batch);

  std::vector<Item> TakeAll();
  size_t size() const { return items_.size(); }

 private:
  struct Bucket {
    const Item* first;
    int count = 0;
  };
  int64_t Ahead(Priority priority) const;
  absl::Duration Backlog(int64_t samples) const;
  std::vector<Bucket> Buckets() const;
  std::vector<Item> TakeBucket(const Item& first);

  const BatchQueueOptions options_;
  std::list<Item> items_;                            // students, then prefill
  int64_t students_ = 0;                             // of items_
  absl::Duration per_batch_ = absl::ZeroDuration();  // smoothed; zero: not measured
  bool refused_late_ = false;
};

}  // namespace reflux
