// The index of a store on RADOS: which targets there are, of which set and size, and what each set
// holds, in 64 objects by key. An entry and its set's count change in one operation, so counts are
// right whatever dies, and servers need no lock between them. Thread-safe.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "cache/rados/rados_format.h"
#include "cache/rados/rados_namespace.h"
#include "cache/set_usage.h"

namespace reflux {

class RadosIndex {
 public:
  // What is learned of the counts goes into `usage`.
  RadosIndex(RadosNamespace& control, SetUsage& usage) : control_(control), usage_(usage) {}

  // NotFound; DataLoss for an entry that cannot be read.
  absl::StatusOr<RadosEntry> Find(const TargetKey& key);
  // Find for each, all at once; nothing where there is no (readable) entry.
  absl::StatusOr<std::vector<std::optional<RadosEntry>>> FindMany(
      const std::vector<TargetKey>& keys);
  // False: the key has an entry already, which stays.
  absl::StatusOr<bool> Insert(const TargetKey& key, const RadosEntry& entry);
  // What was removed; nothing if there was no entry.
  absl::StatusOr<std::optional<RadosEntry>> Erase(const TargetKey& key);

  // Learns the counts of every shard.
  absl::Status Refresh();
  // Ends with the first error of `visit`, which may use the index.
  absl::Status Visit(const std::function<absl::Status(const TargetKey&, const RadosEntry&)>& visit);
  // Counts the entries of every shard anew and mends counts that are wrong; how many were.
  absl::StatusOr<int64_t> Recount();

 private:
  using Counts = std::map<TargetSetId, RadosCount>;
  using Map = RadosNamespace::Map;

  std::string KnownCount(int shard, const TargetSetId& set) const;
  void Learn(int shard, const TargetSetId& set, const RadosCount& count);
  absl::Status LearnFrom(int shard, const Map& values);
  // Adds an entry or takes it away, with its count. Aborted: somebody else changed either.
  absl::Status TryChange(const TargetKey& key, const std::string& before, const std::string& after,
                         const RadosEntry& entry, const std::string& known_count);
  absl::StatusOr<int64_t> RecountShard(int shard);

  RadosNamespace& control_;
  SetUsage& usage_;
  mutable Mutex mutex_;
  std::array<Counts, kRadosShards> counts_ REFLUX_GUARDED_BY(mutex_);
};

}  // namespace reflux
