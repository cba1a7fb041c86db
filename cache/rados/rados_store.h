// The scale-out store: a TargetStore on Ceph RADOS, one immutable object a target, which any number
// of cache servers on any hosts share. Layout, promises and set-up in docs/scale_out.md.
//
// An optional part: a build without librados has this header and answers Unimplemented.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cache/target_store.h"
#include "common/base/clock.h"

namespace reflux {

struct RadosStoreOptions {
  std::string pool;
  // Several stores may share a pool; each has its own targets, capacity and memory of its teacher.
  std::string name = "default";
  std::string
      configuration;  // file; empty: where Ceph looks for it (/etc/ceph/ceph.conf, CEPH_CONF)
  std::string user = "admin";  // of cephx: client.<user>
  // Limit of live bytes of the whole store; 0: none but the cluster's. Servers that share a store
  // are given the same. Together they may exceed it by what they write within `refresh_after`.
  int64_t capacity_bytes = 0;
  // An operation that takes longer has failed: a read is then a miss.
  absl::Duration timeout = absl::Seconds(10);
  // After an operation timed out: pause in which nothing is tried.
  absl::Duration retry_after = absl::Seconds(10);
  // Age of what is known of the other servers' counts, leases and pins.
  absl::Duration refresh_after = absl::Seconds(5);
  const Clock* clock = &SystemClock();  // must outlive the store

  absl::Status Validate() const;
};

// "rados:POOL" or "rados:POOL/NAME".
absl::StatusOr<RadosStoreOptions> ParseRadosLocation(absl::string_view location);

// Connects; makes the store in the pool when it is not there. Errors: InvalidArgument for the
// options, NotFound for the pool, Unavailable when no monitor answers, PermissionDenied,
// FailedPrecondition for a store of another format version, Unimplemented without librados.
absl::StatusOr<std::unique_ptr<TargetStore>> OpenRadosStore(const RadosStoreOptions& options);

}  // namespace reflux
