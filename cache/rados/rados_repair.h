// Mends what crashed servers left in a store on RADOS, by listing its objects: the index and the
// counts can be rebuilt from them entirely. Safe while servers write. Not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "cache/rados/rados_index.h"
#include "cache/rados/rados_namespace.h"
#include "cache/set_usage.h"
#include "common/base/block_pool.h"

namespace reflux {

struct RepairReport {
  int64_t taken_in = 0;     // values that no index entry named
  int64_t dropped = 0;      // index entries that had no value
  int64_t freed_bytes = 0;  // of objects that were nobody's
};

class RadosRepair {
 public:
  // `stamp`: of an entry that is made now.
  RadosRepair(RadosIndex& index, SetUsage& usage, std::function<uint64_t()> stamp)
      : index_(index), usage_(usage), stamp_(std::move(stamp)) {}

  // Takes whole values in that the index does not name, when the set is described; removes what is
  // not whole, and parts without a head once they are an hour old (they may be on their way).
  absl::Status MendSet(const FetchContext& context, const TargetSetId& set,
                       const std::shared_ptr<RadosNamespace>& space);
  // To be called after MendSet of every set.
  using SpaceOf =
      std::function<absl::StatusOr<std::shared_ptr<RadosNamespace>>(const TargetSetId&)>;
  absl::Status DropEntriesWithoutValue(const FetchContext& context, const SpaceOf& space_of);

  const RepairReport& report() const { return report_; }

 private:
  absl::Status MendHead(const TargetKey& key, const TargetSetId& set,
                        const std::shared_ptr<RadosNamespace>& space);
  // What the index should have of a value, without a stamp; reads and verifies it. NotFound: none.
  // DataLoss: not whole.
  absl::StatusOr<RadosEntry> WholeValue(const TargetKey& key, const TargetSetId& set,
                                        const std::shared_ptr<RadosNamespace>& space);
  absl::Status MendPart(const std::string& object, RadosNamespace& space);
  absl::Status RemoveObject(const std::string& object, RadosNamespace& space);

  RadosIndex& index_;
  SetUsage& usage_;
  const std::function<uint64_t()> stamp_;
  BlockPool blocks_{size_t{64} << 20};  // for values that are verified
  std::set<TargetKey> heads_;
  RepairReport report_;
};

}  // namespace reflux
