#include "cache/find_sets.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr size_t kMaxListed = 20;

// One a line, indented; the id where the name alone does not tell.
std::string Listed(const std::vector<StoredSet>& sets) {
  std::string text;
  for (size_t i = 0; i < sets.size() && i < kMaxListed; ++i) {
    absl::StrAppend(&text, "\n  ", FullName(sets[i].set), "  (", sets[i].id.digest.Short(), ")");
  }
  if (sets.size() > kMaxListed) absl::StrAppend(&text, "\n  and ", sets.size() - kMaxListed);
  return text;
}

}  // namespace

std::string FullName(const TargetSet& set) {
  return absl::StrCat(set.DisplayName(), "/", set.spec.tap, "/", Name(set.spec.codec));
}

absl::StatusOr<std::vector<StoredSet>> FindSets(const std::vector<StoredSet>& sets,
                                                absl::string_view name) {
  std::vector<StoredSet> found;
  for (const StoredSet& set : sets) {
    if (!name.empty() && (absl::StartsWith(FullName(set.set), name) ||
                          absl::StartsWith(set.id.digest.Hex(), name))) {
      found.push_back(set);
    }
  }
  if (!found.empty()) return found;
  return absl::NotFoundError(
      absl::StrCat("no target set begins with '", name, "'",
                   sets.empty() ? ": the cache is empty" : "; there are" + Listed(sets)));
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
  return absl::FailedPreconditionError(absl::StrCat("'", name, "' is the beginning of ",
                                                    found.size(), " target sets; say more of one",
                                                    Listed(found)));
}

}  // namespace reflux
