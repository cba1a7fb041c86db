// The ways to keep values that our store is compared with. Torch-free.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/target_reader.h"

namespace reflux {

// One .npy file a value, in `folder`/npy.
absl::Status WriteNpy(const StoredValues& values, const std::string& folder);
// Opens the file, reads its header, reads its data into the row. Any number of threads.
std::unique_ptr<TargetReader> MakeNpyReader(const std::string& folder);

// One database in `folder`/lmdb, mapped into memory; values are copied into the row. Any number of
// threads up to 126, LMDB's limit.
absl::StatusOr<std::unique_ptr<TargetReader>> MakeLmdbReader(const StoredValues& values,
                                                             const std::string& folder);

}  // namespace reflux
