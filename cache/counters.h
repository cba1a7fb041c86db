// The counts of one caching source, for CacheCounts and for metrics at once. Thread-safe.
#pragma once

#include <atomic>

#include "cache/caching_source.h"

namespace reflux {

class CacheCounters {
 public:
  explicit CacheCounters(const CachingSourceMetrics& metrics) : metrics_(metrics) {}

  void Hit(int64_t bytes) {
    ++hits_;
    metrics_.hits.Increment();
    metrics_.hit_bytes.Increment(static_cast<double>(bytes));
  }
  void Misses(int64_t count) { Add(misses_, metrics_.misses, count); }
  void Fills(int64_t count) { Add(fills_, metrics_.fills, count); }
  void Corrupted() { Add(corrupted_, metrics_.corrupted, 1); }
  void ReadError() { Add(read_errors_, metrics_.read_errors, 1); }
  void PassedThrough() { Add(passed_through_, metrics_.passed_through, 1); }
  void FillError() { metrics_.fill_errors.Increment(); }
  void FillTook(absl::Duration time) { metrics_.fill_seconds.Observe(absl::ToDoubleSeconds(time)); }
  void Holding(const StoreStats& stats) {
    metrics_.entries.Set(static_cast<double>(stats.entries));
    metrics_.live_bytes.Set(static_cast<double>(stats.live_bytes));
  }

  CacheCounts counts() const {
    return {.hits = hits_,
            .misses = misses_,
            .fills = fills_,
            .corrupted = corrupted_,
            .passed_through = passed_through_,
            .read_errors = read_errors_};
  }

 private:
  static void Add(std::atomic<int64_t>& count, Counter& counter, int64_t by) {
    count += by;
    counter.Increment(static_cast<double>(by));
  }

  CachingSourceMetrics metrics_;
  std::atomic<int64_t> hits_{0}, misses_{0}, fills_{0}, corrupted_{0}, passed_through_{0},
      read_errors_{0};
};

}  // namespace reflux
