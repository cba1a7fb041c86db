// Our store's folder with values in it, and the ways to read it without a TargetSource. Torch-free.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/target_reader.h"

namespace reflux {

// A store with the values in its tables (not in the log), as one that was filled long ago.
absl::Status WriteStore(const StoredValues& values, const std::string& directory);

// Each may be used by any number of threads.
//   store      RocksTargetStore::ReadTo the row, checked
//   unchecked  the same without checksums, which no job can ask for: what checking costs
absl::StatusOr<std::unique_ptr<TargetReader>> MakeStoreReader(const StoredValues& values,
                                                              const std::string& directory);
absl::StatusOr<std::unique_ptr<TargetReader>> MakeUncheckedReader(const StoredValues& values,
                                                                  const std::string& directory);

}  // namespace reflux
