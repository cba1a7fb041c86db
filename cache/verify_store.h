// Is every stored target still what was put?
#pragma once

#include "cache/target_store.h"

namespace reflux {

struct VerifyReport {
  int64_t entries = 0;  // read
  int64_t bytes = 0;
  int64_t corrupted = 0;  // of these, dropped
};

// Reads everything and drops what is corrupted. Ends early with the context's status, or with the
// store's when it cannot read.
absl::StatusOr<VerifyReport> VerifyStore(TargetStore& store, const FetchContext& context);

}  // namespace reflux
