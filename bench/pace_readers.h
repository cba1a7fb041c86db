// The loaders that reflux-bench-pace compares. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/pace_options.h"
#include "bench/target_reader.h"

namespace reflux {

// Stores the values in `folder` in every form, and opens a reader of each, for any number of
// threads:
//   memory     copied from four values in memory: no loader can be faster
//   npy        one .npy file a value, read straight into the row
//   lmdb       one LMDB, mapped into memory, copied into the row
//   embedded   our store in this process behind a CachingSource, as a student alone has it
//   same_host  a reflux-cache process asked where they lie, and read there: a student on its host
//   grpc       that process over loopback, by a RemoteSource
//   unchecked  our store without checksums, which no job can ask for: what checking costs
// Nothing has a teacher behind it: a miss is an error.
absl::StatusOr<std::vector<NamedReader>> OpenPaceReaders(const PaceBenchOptions& options,
                                                         const StoredValues& values,
                                                         const std::string& folder);

}  // namespace reflux
