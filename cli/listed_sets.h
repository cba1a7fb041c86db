// The target sets of a cache, as its clients see them.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/targets/target_key.h"

namespace reflux {

// Errors: of the call (Unimplemented from a teacher server, which keeps none), DataLoss for an
// answer that makes no sense.
absl::StatusOr<std::vector<TargetSet>> ListSets(const std::string& endpoint);

// Those of `sets` that `name` means; at least one, all of one teacher, else an error that says what
// to write.
absl::StatusOr<std::vector<TargetSet>> SetsNamed(const std::vector<TargetSet>& sets,
                                                 const std::string& name);

}  // namespace reflux
