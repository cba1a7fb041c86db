#include "cli/listed_sets.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/connection.h"
#include "common/base/status_macros.h"
#include "common/targets/find_sets.h"
#include "common/targets/wire.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
absl::StatusOr<std::vector<TargetSet>> ListSets(const std::string& endpoint) {
  REFLUX_ASSIGN_OR_RETURN(
      const v1::ListTargetSetsResponse answer,
      Call<v1::CacheAdminService>(endpoint, &v1::CacheAdminService::Stub::ListTargetSets,
                                  v1::ListTargetSetsRequest()));
  std::vector<TargetSet> sets;
  for (const v1::TargetSet& message : answer.sets()) {
    const absl::StatusOr<TargetSet> set = TargetSetFromProto(message);
    if (!set.ok()) {
      return absl::DataLossError(
          absl::StrCat("the cache lists the set ", message.id(),
                       ", which this version cannot read: ", set.status().message()));
    }
    sets.push_back(*set);
  }
  return sets;
}

absl::StatusOr<std::vector<TargetSet>> SetsNamed(const std::vector<TargetSet>& sets,
                                                 const std::string& name) {
  REFLUX_ASSIGN_OR_RETURN(const std::vector<size_t> places, FindSets(sets, name));
  std::vector<TargetSet> found;
  for (const size_t place : places) found.push_back(sets[place]);
  for (const TargetSet& set : found) {
    if (set.teacher == found[0].teacher && set.dataset == found[0].dataset) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("'", name, "' means several sets: ",
                     absl::StrJoin(found, ", ",
                                   [](std::string* out, const TargetSet& one) {
                                     absl::StrAppend(out, FullName(one), " (id ",
                                                     MakeTargetSetId(one).digest.Short(), ")");
                                   }),
                     "; write more of its name, or its id"));
  }
  return found;
}

}  // namespace reflux
