// As many threads as there is work at once, kept for the next work: what runs a local teacher keeps
// its thread pools that way. Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace reflux {

class FillThreads {
 public:
  // Finishes all work that was started.
  ~FillThreads();
  // Runs `work` at once, on an idle thread or a new one. std::system_error when there is none to be
  // had; `work` then does not run.
  void Start(std::function<void()> work);

 private:
  void Loop();

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ REFLUX_GUARDED_BY(mutex_) = false;
  size_t idle_ REFLUX_GUARDED_BY(mutex_) = 0;
  std::deque<std::function<void()>> waiting_ REFLUX_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ REFLUX_GUARDED_BY(mutex_);
};

}  // namespace reflux
