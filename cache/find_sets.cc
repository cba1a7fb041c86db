#include "cache/find_sets.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<std::vector<StoredSet>> FindSets(const std::vector<StoredSet>& sets,
                                                absl::string_view name) {
  std::vector<TargetSet> described;
  for (const StoredSet& set : sets) described.push_back(set.set);
  REFLUX_ASSIGN_OR_RETURN(const std::vector<size_t> places, FindSets(described, name));
  std::vector<StoredSet> found;
  for (const size_t place : places) found.push_back(sets[place]);
  return found;
}

absl::StatusOr<StoredSet> FindSet(const std::vector<StoredSet>& sets, absl::string_view name) {
  REFLUX_ASSIGN_OR_RETURN(const std::vector<StoredSet> found, FindSets(sets, name));
  if (found.size() == 1) return found.front();
  const StoredSet* exact = nullptr;
  int exact_matches = 0;
  for (const StoredSet& set : found) {
    if (FullName(set.set) != name) continue;
    exact = &set;
    ++exact_matches;
  }
  if (exact_matches == 1) return *exact;
  std::vector<TargetSet> described;
  for (const StoredSet& set : found) described.push_back(set.set);
  return absl::FailedPreconditionError(absl::StrCat("'", name, "' is the beginning of ",
                                                    found.size(), " target sets; say more of one",
                                                    ListedSets(described)));
}

}  // namespace reflux
