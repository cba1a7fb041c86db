// Fetches what is missing from upstream and stores it, on threads of its own. Thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "cache/counters.h"
#include "cache/fill_threads.h"
#include "cache/flights.h"
#include "cache/spec_groups.h"
#include "cache/target_store.h"

namespace reflux {

class Filler {
 public:
  Filler(TargetStore& store, TargetSource& upstream, int64_t max_held_bytes,
         CacheCounters& counters)
      : store_(store), upstream_(upstream), max_held_bytes_(max_held_bytes), counters_(counters) {}

  // One missing target and the flight that must land.
  struct Wanted {
    TargetIndex index;
    TargetKey key;
    std::shared_ptr<FlightTable::Flight> flight;
  };

  // Returns at once; each flight lands in `table` later, in whatever way. What has been stored
  // since the flight began is not fetched. `model`: provenance of the stored sets.
  void Begin(FlightTable& table, std::shared_ptr<FlightTable::Fill> fill,
             const TargetRequest& request, std::vector<Wanted> wanted, Priority priority,
             const std::string& model);

 private:
  struct Job;
  class Sink;
  void Run(Job& job);
  void FetchGroup(Job& job, const std::vector<Wanted>& wanted, const SpecGroup& group);
  // Store before delivery.
  Landing Keep(const Job& job, const Wanted& wanted, absl::StatusOr<EncodedTarget> target);
  std::shared_ptr<const EncodedTarget> Hold(EncodedTarget target);

  TargetStore& store_;
  TargetSource& upstream_;
  const int64_t max_held_bytes_;
  CacheCounters& counters_;
  std::atomic<int64_t> held_bytes_{0};
  FillThreads threads_;  // last: joined before the rest goes
};

}  // namespace reflux
