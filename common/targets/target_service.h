// Any TargetSource as the gRPC TargetService: what teacher servers and cache servers both run.
#pragma once

#include <memory>

#include "common/metrics/registry.h"
#include "common/targets/target.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {

struct TargetServiceOptions {
  // A Fetch without a deadline gets this one.
  absl::Duration default_deadline = absl::Minutes(10);
  int64_t chunk_bytes = int64_t{2} << 20;
  // Fetch calls served at once; more are refused with RESOURCE_EXHAUSTED.
  int max_concurrent_fetches = 64;
  // Answers calls with `discard`, without bytes (CachingSource::storing); not owned. Null: they are
  // refused.
  TargetSource* storing = nullptr;
};

struct TargetServiceMetrics {
  Counter targets, bytes, errors;
  Histogram fetch_seconds;
  // `component`: "teacher" or "cache", part of the metric names.
  static TargetServiceMetrics Register(MetricRegistry& registry, const std::string& component);
};

// Thread-safe. Does not own `source`. The request's bounds are checked before the source sees it.
std::unique_ptr<v1::TargetService::Service> MakeTargetService(TargetSource& source,
                                                              const TargetServiceOptions& options,
                                                              const TargetServiceMetrics& metrics);

// A server that receives images needs messages of up to 80 MiB.
inline constexpr int kTargetServiceMaxReceiveBytes = 80 << 20;

}  // namespace reflux
