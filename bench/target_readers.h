// The ways from a stored value to a row of the batch that reflux-bench-targets compares.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/target_bench_options.h"
#include "bench/target_reader.h"

namespace reflux {

// Stores the values in `folder` in every form, and opens a reader of each:
//   npy              one .npy file a value: open, read the header, read the data into the row
//   lmdb             one database, mapped into memory; copied into the row
//   store            RocksTargetStore in this process, checked; copied into the row
//   store_unchecked  the same without checksums (no job can ask for that): what checking costs
//   same_host        a reflux-cache process asked where they lie, and read there
//   grpc             that process over loopback, `threads` calls of 4 values in flight
//   grpc_bare        a process that streams the same bytes from memory, in the same messages
absl::StatusOr<std::vector<NamedReader>> OpenTargetReaders(const TargetBenchOptions& options,
                                                           const std::string& folder);

}  // namespace reflux
