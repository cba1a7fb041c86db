#include "cache/fill_threads.h"

#include <utility>

namespace reflux {

FillThreads::~FillThreads() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
    threads.swap(threads_);
  }
  for (std::thread& thread : threads) thread.join();
}

void FillThreads::Start(std::function<void()> work) {
  MutexLock lock(mutex_);
  waiting_.push_back(std::move(work));
  // A woken thread counts as idle until it has taken its work.
  if (waiting_.size() <= idle_) {
    changed_.NotifyOne();
    return;
  }
  try {
    threads_.emplace_back([this] { Loop(); });
  } catch (...) {
    waiting_.pop_back();
    throw;
  }
}

void FillThreads::Loop() {
  while (true) {
    std::function<void()> work;
    {
      MutexLock lock(mutex_);
      ++idle_;
      while (waiting_.empty() && !stopping_) changed_.Wait(mutex_);
      --idle_;
      if (waiting_.empty()) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work();
  }
}

}  // namespace reflux
