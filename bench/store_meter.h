// What a step of a store costs: time, bytes written, memory, files.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "bench/store_rounds.h"

namespace reflux {

// Bytes that this process handed to the kernel to write, in files of any kind.
int64_t WrittenBytes();
int64_t ResidentBytes();
int64_t FilesIn(const std::string& folder);

// Runs `step`, which returns the bytes it put, read or removed, and waits until RocksDB's
// background work has ended if `settle` says so (what it writes counts, its time does not).
absl::StatusOr<StoreRow> Measure(const std::string& name, const std::string& folder,
                                 const std::function<absl::StatusOr<int64_t>()>& step,
                                 const std::function<absl::Status()>& settle = nullptr);

}  // namespace reflux
