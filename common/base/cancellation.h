// A one-way flag that many may watch. Thread-safe.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>

#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace reflux {

class Cancellation {
 public:
  // Idempotent. Runs the registered callbacks in the calling thread.
  void Cancel();
  bool cancelled() const;

  // Runs `callback` once when cancelled, at once if that has happened. While the returned handle
  // lives the callback may run; after its destruction it has ended and never will.
  using Registration = std::shared_ptr<void>;
  [[nodiscard]] Registration OnCancel(std::function<void()> callback);

 private:
  void Unregister(int64_t id);
  mutable Mutex mutex_;
  CondVar idle_;
  bool cancelled_ REFLUX_GUARDED_BY(mutex_) = false;
  bool running_ REFLUX_GUARDED_BY(mutex_) = false;
  int64_t next_id_ REFLUX_GUARDED_BY(mutex_) = 0;
  std::map<int64_t, std::function<void()>> callbacks_ REFLUX_GUARDED_BY(mutex_);
};

// Sleeps until `until`, or less when `cancellation` (which may be null) is cancelled.
void SleepUntil(absl::Time until, Cancellation* cancellation);

// Blocks until one of them is cancelled; null ones are left out.
void AwaitCancelled(std::initializer_list<Cancellation*> any);

}  // namespace reflux
