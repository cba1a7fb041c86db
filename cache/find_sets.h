// Sets by the names that people type.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cache/target_store.h"
#include "common/targets/find_sets.h"

namespace reflux {

// As common/targets/find_sets.h finds them.
absl::StatusOr<std::vector<StoredSet>> FindSets(const std::vector<StoredSet>& sets,
                                                absl::string_view name);

// The only one of FindSets; a set with exactly this full name wins over longer ones.
// FailedPrecondition when there are several: the message lists them.
absl::StatusOr<StoredSet> FindSet(const std::vector<StoredSet>& sets, absl::string_view name);

}  // namespace reflux
