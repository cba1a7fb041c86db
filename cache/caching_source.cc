#include "cache/caching_source.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "cache/counters.h"
#include "cache/fetch_call.h"
#include "cache/filler.h"
#include "cache/teacher_memory.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

class CachingSourceOverStore : public CachingSource {
 public:
  CachingSourceOverStore(TargetStore& store, TargetSource& upstream,
                         const CachingSourceOptions& options, const CachingSourceMetrics& metrics)
      : options_(options),
        upstream_(upstream),
        counters_(metrics),
        teacher_(store),
        filler_(store, upstream, options.max_held_bytes, counters_),
        parts_{store, upstream, counters_, filler_, table_, teacher_} {
    counters_.Holding(store.stats());
  }

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override {
    return Run(FetchCall::Wants::kBytes, context, request, sink);
  }

  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
    const std::optional<TeacherInfo> remembered = teacher_.Recall();
    FetchContext ask = context;
    if (remembered.has_value()) {
      ask.deadline = std::min(ask.deadline, absl::Now() + options_.teacher_info_timeout);
    }
    absl::StatusOr<TeacherInfo> info = upstream_.GetTeacherInfo(ask);
    if (info.ok()) {
      teacher_.Remember(*info);
      return info;
    }
    const bool away = absl::IsUnavailable(info.status()) || absl::IsNotFound(info.status()) ||
                      absl::IsDeadlineExceeded(info.status());
    if (away && remembered.has_value()) return *remembered;
    return info;
  }

  CacheCounts counts() const override { return counters_.counts(); }
  TargetSource& storing() override { return storing_; }

 private:
  class Storing : public TargetSource {
   public:
    explicit Storing(CachingSourceOverStore& source) : source_(source) {}
    absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                       TargetSink& sink) override {
      return source_.Run(FetchCall::Wants::kStored, context, request, sink);
    }
    absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
      return source_.GetTeacherInfo(context);
    }

   private:
    CachingSourceOverStore& source_;
  };

  absl::Status Run(FetchCall::Wants wants, const FetchContext& context,
                   const TargetRequest& request, TargetSink& sink) {
    REFLUX_RETURN_IF_ERROR(request.Validate());
    FetchCall(parts_, wants, context, request, sink).Run();
    return absl::OkStatus();
  }

  const CachingSourceOptions options_;
  TargetSource& upstream_;
  CacheCounters counters_;
  TeacherMemory teacher_;
  FlightTable table_;
  Filler filler_;  // after the table: its threads end first
  const CachingParts parts_;
  Storing storing_{*this};
};

class AbsentTeacher : public TargetSource {
 public:
  absl::Status Fetch(const FetchContext&, const TargetRequest&, TargetSink&) override {
    return absl::FailedPreconditionError(
        "the target is not cached, and this cache has no teacher to ask: start one and name it");
  }
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext&) override {
    return absl::NotFoundError(
        "this cache has no teacher and remembers none: start one and name it");
  }
};

}  // namespace

absl::Status CachingSourceOptions::Validate() const {
  if (max_held_bytes < 0) {
    return absl::InvalidArgumentError("cache max_held_bytes: must not be negative");
  }
  if (teacher_info_timeout <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("cache teacher_info_timeout: must be positive");
  }
  return absl::OkStatus();
}

CachingSourceMetrics CachingSourceMetrics::Register(MetricRegistry& registry) {
  return {
      .hits = registry.AddCounter("reflux_cache_hits_total", "Targets served from the store."),
      .misses = registry.AddCounter("reflux_cache_misses_total", "Targets that were not stored."),
      .fills = registry.AddCounter("reflux_cache_fills_total", "Targets asked from upstream."),
      .fill_errors =
          registry.AddCounter("reflux_cache_fill_errors_total", "Targets upstream refused."),
      .corrupted = registry.AddCounter("reflux_cache_corrupted_total",
                                       "Entries that failed their checksum and were dropped."),
      .passed_through =
          registry.AddCounter("reflux_cache_passed_through_total",
                              "Targets delivered unstored, the store being full or failing."),
      .read_errors = registry.AddCounter("reflux_cache_read_errors_total",
                                         "Stored targets that could not be read."),
      .hit_bytes =
          registry.AddCounter("reflux_cache_hit_bytes_total", "Bytes served from the store."),
      .fill_seconds = registry.AddHistogram("reflux_cache_fill_seconds",
                                            "Duration of upstream requests.", LatencyBuckets()),
      .entries = registry.AddGauge("reflux_cache_entries", "Targets stored."),
      .live_bytes = registry.AddGauge("reflux_cache_live_bytes", "Bytes of targets stored.")};
}

std::unique_ptr<CachingSource> MakeCachingSource(TargetStore& store, TargetSource& upstream,
                                                 const CachingSourceOptions& options,
                                                 const CachingSourceMetrics& metrics) {
  return std::make_unique<CachingSourceOverStore>(store, upstream, options, metrics);
}

std::unique_ptr<TargetSource> MakeAbsentTeacher() { return std::make_unique<AbsentTeacher>(); }

}  // namespace reflux
