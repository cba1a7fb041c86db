// The rows of reflux-bench-targets that read over gRPC.
#pragma once

#include <memory>

#include "bench/child_process.h"
#include "bench/target_bench_options.h"
#include "bench/target_reader.h"

namespace reflux {

// The target path of a student: RemoteSource to a reflux-cache process.
std::unique_ptr<TargetReader> MakeGrpcReader(const TargetBenchOptions& options,
                                             std::unique_ptr<ChildProcess> cache);
// The same calls to a server of bench/bare_stream.h, nothing checked, copied into the rows.
std::unique_ptr<TargetReader> MakeBareReader(const TargetBenchOptions& options,
                                             std::unique_ptr<ChildProcess> server);

}  // namespace reflux
