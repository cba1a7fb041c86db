// A connection to Ceph through librados, and its errors in our words. Thread-safe; calls block for
// the store's time-out at most.
//
// Codes: NotFound, AlreadyExists, Aborted (an expected value is another), ResourceExhausted (pool
// or cluster full), DataLoss (the cluster cannot read what it stored), PermissionDenied,
// Unavailable (no answer in time; then nothing is tried for `retry_after`), else Internal. What
// timed out may still be carried out later.
#pragma once

#include <rados/librados.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cache/rados/rados_store.h"
#include "common/base/mutex.h"

namespace reflux {

class RadosCluster {
 public:
  static absl::StatusOr<std::shared_ptr<RadosCluster>> Connect(const RadosStoreOptions& options);
  ~RadosCluster();
  RadosCluster(const RadosCluster&) = delete;
  RadosCluster& operator=(const RadosCluster&) = delete;

  // Unavailable during the pause after a time-out.
  absl::Status Ready() const;
  // The status of a return value; begins a pause when it is a time-out.
  absl::Status Translate(int result, absl::string_view what);
  // Free space of the whole cluster, before replication; 0 when the cluster does not tell.
  int64_t FreeBytes();
  rados_t handle() const { return handle_; }
  const std::string& pool() const { return options_.pool; }

 private:
  explicit RadosCluster(const RadosStoreOptions& options) : options_(options) {}
  absl::Status Configure();

  const RadosStoreOptions options_;
  rados_t handle_ = nullptr;
  bool connected_ = false;
  mutable Mutex mutex_;
  absl::Duration paused_until_ REFLUX_GUARDED_BY(mutex_) = -absl::InfiniteDuration();  // uptime
};

}  // namespace reflux
