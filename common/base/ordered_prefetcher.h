// Makes items 0, 1, 2, ... ahead of their consumer, in several threads, and hands them out in
// order.
//
// At most `depth` items are made or held at once, which bounds memory. Item numbers are claimed in
// order, so the item that the consumer waits for is always being made. Torch-free.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/cancellation.h"
#include "common/base/mutex.h"

namespace reflux {

struct OrderedPrefetcherOptions {
  int64_t first = 0;  // number of the first item
  int64_t end = 0;    // one past the last
  int64_t depth = 4;  // items made or held at once, at least 1
  int threads = 2;    // at least 1
};

// One consumer. The destructor cancels what is being made and joins the threads.
template <typename T>
class OrderedPrefetcher {
 public:
  // `make(number, cancellation)` runs in the prefetcher's threads; it should return soon once
  // cancelled.
  using MakeFn = std::function<absl::StatusOr<T>(int64_t, const std::shared_ptr<Cancellation>&)>;

  OrderedPrefetcher(const OrderedPrefetcherOptions& options, MakeFn make)
      : options_(options),
        make_(std::move(make)),
        next_made_(options.first),
        next_taken_(options.first) {
    for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { Loop(); });
  }

  ~OrderedPrefetcher() {
    cancellation_->Cancel();
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  // The next item; blocks until it is made. OutOfRange after the last.
  absl::StatusOr<T> Next() {
    MutexLock lock(mutex_);
    if (next_taken_ >= options_.end) return absl::OutOfRangeError("no item left");
    auto it = ready_.find(next_taken_);
    while (it == ready_.end()) {
      changed_.Wait(mutex_);
      it = ready_.find(next_taken_);
    }
    absl::StatusOr<T> item = std::move(it->second);
    ready_.erase(it);
    ++next_taken_;
    changed_.NotifyAll();
    return item;
  }

  // Items ready to be taken, for a gauge.
  int64_t ready() const {
    MutexLock lock(mutex_);
    return ready_.size();
  }

 private:
  void Loop() {
    MutexLock lock(mutex_);
    while (!stopping_ && next_made_ < options_.end) {
      if (next_made_ >= next_taken_ + options_.depth) {
        changed_.Wait(mutex_);
        continue;
      }
      const int64_t number = next_made_++;
      mutex_.Unlock();
      absl::StatusOr<T> item = make_(number, cancellation_);
      mutex_.Lock();
      ready_.emplace(number, std::move(item));
      changed_.NotifyAll();
    }
  }

  const OrderedPrefetcherOptions options_;
  const MakeFn make_;
  const std::shared_ptr<Cancellation> cancellation_ = std::make_shared<Cancellation>();
  mutable Mutex mutex_;
  CondVar changed_;
  bool stopping_ REFLUX_GUARDED_BY(mutex_) = false;
  int64_t next_made_ REFLUX_GUARDED_BY(mutex_);
  int64_t next_taken_ REFLUX_GUARDED_BY(mutex_);
  std::map<int64_t, absl::StatusOr<T>> ready_ REFLUX_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace reflux
