// std::mutex and std::condition_variable with clang's thread-safety annotations.
//
// absl::Mutex is not used: Debian's abseil is not instrumented, so ThreadSanitizer reports correct
// code that uses it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/time/clock.h"
#include "absl/time/time.h"

#if defined(__clang__)
#define REFLUX_TSA(x) __attribute__((x))
#else
#define REFLUX_TSA(x)
#endif
#define REFLUX_GUARDED_BY(m) REFLUX_TSA(guarded_by(m))
#define REFLUX_REQUIRES(...) REFLUX_TSA(requires_capability(__VA_ARGS__))
#define REFLUX_EXCLUDES(...) REFLUX_TSA(locks_excluded(__VA_ARGS__))

namespace reflux {

class REFLUX_TSA(capability("mutex")) Mutex {
 public:
  void Lock() REFLUX_TSA(acquire_capability()) { mutex_.lock(); }
  void Unlock() REFLUX_TSA(release_capability()) { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class REFLUX_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) REFLUX_TSA(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() REFLUX_TSA(release_capability()) { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits release and retake the mutex, which the caller holds. Spurious wake-ups happen: wait in a
// loop on the condition.
class CondVar {
 public:
  void Wait(Mutex& mutex) REFLUX_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
  }

  // False when `limit` has passed, by a clock that nobody sets.
  bool WaitFor(Mutex& mutex, absl::Duration limit) REFLUX_REQUIRES(mutex) {
    if (limit > kLongest) {  // more than the arithmetic of waiting holds; in effect without limit
      Wait(mutex);
      return true;
    }
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const auto status = cv_.wait_for(lock, absl::ToChronoNanoseconds(limit));
    lock.release();
    return status == std::cv_status::no_timeout;
  }

  // False when `deadline` passed first; InfiniteFuture waits without limit. What is left until then
  // is measured at the call, so that a clock that is set meanwhile makes no wait longer.
  bool WaitUntil(Mutex& mutex, absl::Time deadline) REFLUX_REQUIRES(mutex) {
    return WaitFor(mutex, deadline - absl::Now());
  }

  void NotifyOne() { cv_.notify_one(); }
  void NotifyAll() { cv_.notify_all(); }

 private:
  static constexpr absl::Duration kLongest = absl::Hours(24 * 365);
  std::condition_variable cv_;
};

}  // namespace reflux
