// Which sets have entries where in the order of insertion: so that eviction finds the oldest
// entries of unleased sets without reading the others'. Memory: some 100 bytes for each set in each
// chunk of 1024 insertions. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "common/targets/target_key.h"

namespace reflux {

class InsertionChunks {
 public:
  static constexpr uint64_t kChunk = 1024;

  void Add(uint64_t insertion, const TargetSetId& set) { ++chunks_[insertion / kChunk][set]; }
  // Of what was added.
  void Remove(uint64_t insertion, const TargetSetId& set);

  // The number of the first insertion of the first chunk that lies at or after `from` and holds an
  // entry of a chosen set.
  std::optional<uint64_t> Find(uint64_t from,
                               const std::function<bool(const TargetSetId&)>& chosen) const;

 private:
  std::map<uint64_t, std::map<TargetSetId, int64_t>> chunks_;
};

}  // namespace reflux
