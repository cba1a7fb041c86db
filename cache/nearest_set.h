// Why targets are missing: in which fields what a job wants differs from the nearest set that a
// cache holds. Thread-safe, no I/O.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cache/target_store.h"

namespace reflux {

struct NearestSet {
  StoredSet set;
  // Names of the fields that keep its targets from being hits, e.g. "preprocessing.mean". Empty:
  // the wanted set itself, whose images or views are others.
  std::vector<std::string> differs;
};

// The names of the fields in which two sets differ, without the data set's name, which no target
// key holds.
std::vector<std::string> DifferingFields(const TargetSet& wanted, const TargetSet& held);

// The set of `held` that differs least: other weights count more than another tap, that more than
// anything else; of equals the one with the most entries. Empty when nothing is held.
std::optional<NearestSet> FindNearestSet(const TargetSet& wanted,
                                         const std::vector<StoredSet>& held);

}  // namespace reflux
