// A TargetSource that reads through a TargetStore: what is stored is served from there, the rest is
// fetched from upstream, stored, then delivered. The same class in the cache server and embedded in
// a student's process.
//
// Single-flight: a target that several callers miss at once is fetched once. The fetch belongs to
// the source, not to its first caller: it goes on while anybody waits for it (so it has the latest
// waiter's deadline), and its failure goes to those who wait at that moment. A failing store costs
// time, never the job: the target is delivered unstored. A corrupted entry is dropped, counted and
// fetched again.
#pragma once

#include <memory>

#include "cache/target_store.h"
#include "common/metrics/registry.h"
#include "common/targets/target.h"

namespace reflux {

struct CachingSourceOptions {
  // Bytes that wait for their callers after they came from upstream. Beyond it callers read the
  // target back from the store or, when it could not be stored, ask upstream again on their own.
  int64_t max_held_bytes = int64_t{512} << 20;
  // How long GetTeacherInfo waits for an absent teacher when the store remembers its answer.
  absl::Duration teacher_info_timeout = absl::Seconds(2);

  absl::Status Validate() const;
};

struct CachingSourceMetrics {
  Counter hits, misses, fills, fill_errors, corrupted, passed_through, read_errors, hit_bytes;
  Histogram fill_seconds;
  Gauge entries, live_bytes;
  // reflux_cache_*
  static CachingSourceMetrics Register(MetricRegistry& registry);
};

// Since the source was made, in targets.
struct CacheCounts {
  int64_t hits = 0;
  int64_t misses = 0;
  int64_t fills = 0;  // asked from upstream
  int64_t corrupted = 0;
  int64_t passed_through = 0;  // delivered but not stored
  int64_t read_errors = 0;     // the store could not read what it holds
};

// Fetch delivers on the calling thread; statuses from upstream (refusals, SampleNeeded) are
// delivered as they are for the targets concerned. The misses of one Fetch go upstream in one
// request, or one for each different set of missing specs, at the priority of the caller that began
// the fill. GetTeacherInfo answers from the store's memory when upstream is UNAVAILABLE, NOT_FOUND
// or silent.
class CachingSource : public TargetSource {
 public:
  virtual CacheCounts counts() const = 0;
  // The same for callers that only want the targets stored: they are delivered without bytes, or as
  // FailedPrecondition when they could not be stored. Lives as long as this.
  virtual TargetSource& storing() = 0;
};

// Neither `store` nor `upstream` is owned; both must outlive the source, as must every Fetch end
// before it is destroyed. The destructor cancels and joins what is still under way.
std::unique_ptr<CachingSource> MakeCachingSource(TargetStore& store, TargetSource& upstream,
                                                 const CachingSourceOptions& options = {},
                                                 const CachingSourceMetrics& metrics = {});

// The upstream of a cache that has no teacher: misses are refused with FailedPrecondition,
// GetTeacherInfo is NotFound (so that the store's memory answers).
std::unique_ptr<TargetSource> MakeAbsentTeacher();

}  // namespace reflux
