// One Fetch of a caching source, on the caller's thread (cache/caching_source.h).
#pragma once

#include <vector>

#include "cache/counters.h"
#include "cache/filler.h"
#include "cache/flights.h"
#include "cache/spec_groups.h"
#include "cache/target_store.h"
#include "cache/teacher_memory.h"

namespace reflux {

// What the calls of one caching source share.
struct CachingParts {
  TargetStore& store;
  TargetSource& upstream;
  CacheCounters& counters;
  Filler& filler;
  FlightTable& table;
  TeacherMemory& teacher;
};

// One Fetch, on the caller's thread.
class FetchCall {
 public:
  // kStored: the targets are delivered without bytes (CachingSource::storing).
  enum class Wants { kBytes, kStored };

  FetchCall(const CachingParts& parts, Wants wants, const FetchContext& context,
            const TargetRequest& request, TargetSink& sink)
      : parts_(parts), wants_(wants), context_(context), request_(request), sink_(sink) {}
  ~FetchCall() { parts_.table.Leave(waiter_); }

  void Run();

 private:
  struct Item {
    TargetIndex index;
    TargetKey key;
    int tries = 0;
    bool delivered = false;
  };

  void ListItems();
  // Begins to wait for these, fetching what nobody fetches yet.
  void Ask(const std::vector<size_t>& items);
  // Reads these, and asks for those that cannot be read.
  void DeliverPresent(const std::vector<size_t>& present);
  void ReadAndDeliver(const std::vector<size_t>& present);
  // Says where the item lies to a sink that wants to know. False: it must be read.
  bool DeliverLocated(size_t item);
  // What the store answered. True, or the item is to be asked for. `hit`: the store had it from the
  // first.
  bool DeliverRead(size_t item, absl::StatusOr<EncodedTarget> target, bool hit);
  void DeliverStoredOrAsk(size_t item);
  void Await();
  // Fetches `lost_` for this caller alone, straight into its sink.
  void PassThrough();
  void Deliver(size_t item, absl::StatusOr<EncodedTarget> target);
  void FailRest();

  const CachingParts parts_;
  const Wants wants_;
  const FetchContext& context_;
  const TargetRequest& request_;
  TargetSink& sink_;
  std::vector<Item> items_;
  std::vector<size_t> lost_;
  FlightTable::Waiter waiter_;
};

}  // namespace reflux
