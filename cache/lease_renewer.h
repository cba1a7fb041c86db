// Tells a cache server which sets are read past it.
#pragma once

#include <map>
#include <memory>
#include <thread>

#include "absl/time/time.h"
#include "common/base/cancellation.h"
#include "common/base/mutex.h"
#include "common/targets/target.h"

namespace reflux {

// Fetches one target of every set in use from the server, now and then, on a thread of its own;
// what comes is dropped. Thread-safe.
class LeaseRenewer {
 public:
  // Does not own `server`.
  LeaseRenewer(TargetSource& server, absl::Duration every);
  // Cancels what is under way.
  ~LeaseRenewer();

  // These targets have been read: `sample` of `request`, for each of its specs.
  void Used(const TargetRequest& request, size_t sample);

 private:
  void Loop();

  TargetSource& server_;
  const absl::Duration every_;
  const std::shared_ptr<Cancellation> stop_ = std::make_shared<Cancellation>();
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ REFLUX_GUARDED_BY(mutex_) = false;
  // By spec, of the last use since the last renewal.
  std::map<TargetSpec, TargetRequest> used_ REFLUX_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace reflux
