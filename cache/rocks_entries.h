// The entries of a RocksTargetStore: the column families `values`, `index` and `order`, kept in
// step, and the counts of what they hold.
//
// `index` and `order` name the same entries, by key and by age. Every change is one write batch, so
// a process may die at any moment. Values are appended only; a value without an entry is dead, and
// its table goes as a file once all in it are dead (cache/value_tables.h). Thread-safe; one writer
// at a time, readers wait for nobody.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "cache/insertion_chunks.h"
#include "cache/rocks_read.h"
#include "cache/set_usage.h"
#include "cache/target_store.h"
#include "cache/value_tables.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace reflux {

class RocksEntries {
 public:
  using ChooseSet = std::function<bool(const TargetSetId&)>;

  // `usage` is counted up and down; it and `clock` must outlive this.
  RocksEntries(std::shared_ptr<RocksHandles> handles, SetUsage& usage, const Clock& clock)
      : handles_(std::move(handles)), usage_(usage), clock_(clock) {}

  // To be called once, before the rest: counts what is there and deletes the dead tables that a
  // dying process left behind.
  absl::Status Load();

  // False when the key is present: nothing was done. The bytes must have been reserved in `usage`,
  // and stay so if false or an error is returned.
  absl::StatusOr<bool> Insert(const TargetKey& key, const TargetSet& set,
                              const TargetOrigin& origin, const EncodedTarget& target);
  // OK if there is none. A damaged index record goes too.
  absl::Status Erase(const TargetKey& key);
  // Erases entries of chosen sets, oldest first, until `bytes` are freed, and gives their tables
  // back; leased entries that are in the way are written again at the head. The live bytes freed.
  absl::StatusOr<int64_t> EraseOldest(int64_t bytes, const ChooseSet& chosen);
  // Writes the entries of every table of which no more than `max_live_share` lives again at the
  // head, and deletes it.
  absl::Status Compact(double max_live_share, const FetchContext& context);

  absl::Status Visit(const std::function<absl::Status(const StoredEntry&)>& visit) const;

 private:
  struct Entry {
    TargetKey key;
    IndexRecord record;
  };
  struct Range {  // of insertion numbers, both in it
    uint64_t first = 0, last = std::numeric_limits<uint64_t>::max();
  };
  // What of a table lives.
  struct Life {
    int64_t bytes = 0;
    bool all_leased = true;
  };
  using VisitEntry = std::function<absl::Status(const Entry&)>;

  absl::Status Count();
  absl::Status EachInOrder(const Range& range, const VisitEntry& visit) const;
  absl::StatusOr<int64_t> EraseOfChunk(uint64_t chunk, int64_t bytes, const ChooseSet& chosen,
                                       Range& erased) REFLUX_REQUIRES(mutex_);
  using ChooseTable = std::function<bool(const ValueTable&, const Life&)>;
  // Deletes the dead tables, and those of `range` that `may_empty` chooses, after emptying them.
  absl::Status FreeTables(const Range& range, const ChooseTable& may_empty,
                          const FetchContext& context);
  absl::StatusOr<bool> IsDead(const ValueTable& table) const;
  absl::StatusOr<Life> LifeOf(const ValueTable& table) const;
  // Writes the entries of a table again at the head.
  absl::Status Empty(const ValueTable& table);
  absl::Status Relocate(const Entry& entry) REFLUX_REQUIRES(mutex_);
  absl::Status Move(const Entry& entry) REFLUX_REQUIRES(mutex_);
  absl::Status Forget(const Entry& entry) REFLUX_REQUIRES(mutex_);
  void CountOut(const IndexRecord& record) REFLUX_REQUIRES(mutex_);

  const std::shared_ptr<RocksHandles> handles_;
  SetUsage& usage_;
  const Clock& clock_;
  // Held while an entry is written, so that numbers ascend in the order of writing and tables do
  // not overlap.
  Mutex mutex_;
  InsertionChunks chunks_ REFLUX_GUARDED_BY(mutex_);
  uint64_t next_insertion_ REFLUX_GUARDED_BY(mutex_) = 0;
};

}  // namespace reflux
