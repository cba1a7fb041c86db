// A TargetSource over several servers of one teacher: each request goes to the one with the least
// outstanding work.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/metrics/registry.h"
#include "common/targets/pool_members.h"
#include "common/targets/remote_source.h"

namespace reflux {

struct PooledSourceOptions {
  PoolPolicy policy;
  // Names of the members as they are now; asked at most every `refresh`. An error leaves the
  // members as they are.
  std::function<absl::StatusOr<std::vector<std::string>>()> list;
  // A member's source. Its failures must be its own: it makes one try
  // (RemoteSourceOptions::single_try).
  PoolMembers::Connect connect;
  absl::Duration refresh = absl::Seconds(1);
  // What a member that joins, or comes back, may take to say who it is.
  absl::Duration ask_timeout = absl::Seconds(5);
  // A fetch may take slow_ratio times what was expected of it, at least this, before another member
  // is asked; the limit doubles with every try.
  absl::Duration min_try_timeout = absl::Seconds(30);
  const Clock* clock = &SystemClock();
};

struct PooledSourceMetrics {
  Gauge members, usable_members, refused_members;
  Counter ejections, moved_fetches;
  // reflux_<component>_pool_*
  static PooledSourceMetrics Register(MetricRegistry& registry, const std::string& component);
};

// Thread-safe; deliveries run on the calling thread. Members join and leave at any time. A member
// that fails, hangs or is slow is left out for a time; what it has not delivered is asked of
// another, and nothing is delivered twice. A member whose digest, preprocessing or numerics are not
// those of the request is not used; when all are such, Fetch is FailedPrecondition and names each
// with what differs. While no member answers, calls wait for one until the caller's deadline.
//
// GetTeacherInfo: the teacher is who the first listed member that answered said it is, for as long
// as this source lives; images_inferred is the sum over the members.
std::unique_ptr<TargetSource> MakePooledSource(const PooledSourceOptions& options,
                                               const PooledSourceMetrics& metrics = {});

// Over servers: `remote.endpoint` is as for ListEndpoints (common/rpc/server_list.h).
std::unique_ptr<TargetSource> MakePooledRemoteSource(const RemoteSourceOptions& remote,
                                                     const RemoteSourceMetrics& remote_metrics,
                                                     const PooledSourceMetrics& metrics);

}  // namespace reflux
