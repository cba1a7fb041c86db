// The measurements of reflux-bench-store. Torch-free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace reflux {

struct StoreBenchOptions {
  std::string dir;                        // where the stores are made; emptied afterwards
  int64_t value_bytes = 1'400'000;        // of a large value: an ASPP map of CamVid in fp16
  int64_t fill_bytes = int64_t{2} << 30;  // of a fill with large values
  int64_t small_bytes = 1024;             // of a small value
  std::vector<int64_t> entries = {100'000, 1'000'000};  // of stores of small values
  int threads = 2;                                      // that read at once

  absl::Status Validate() const;
};

// One measured step. Zero where a column has no meaning.
struct StoreRow {
  std::string name;
  int64_t entries = 0;  // in the store, afterwards
  double seconds = 0;
  double cpu_seconds = 0;          // of all threads, with background work
  int64_t bytes = 0;                       // of values put, read or removed in that time
  double write_amplification = 0;          // bytes the process wrote to files, to bytes put
  int64_t live_bytes = 0, disk_bytes = 0;  // afterwards
  int64_t files = 0;                       // in the database's folder, afterwards
  int64_t memory_bytes = 0;                // resident, afterwards
};

absl::StatusOr<std::vector<StoreRow>> MeasureStore(const StoreBenchOptions& options);

std::string StoreTable(const std::vector<StoreRow>& rows);
std::string StoreJson(const StoreBenchOptions& options, const std::vector<StoreRow>& rows);

}  // namespace reflux
