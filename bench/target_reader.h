// A way from a stored value to a row of the batch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/target_values.h"

namespace reflux {

class TargetReader {
 public:
  virtual ~TargetReader() = default;
  // Reads the values of these numbers, in this order, each into the next row. In the caller's
  // thread, of which there may be several with rows of their own, unless its name says otherwise.
  virtual absl::Status Read(const std::vector<int>& order, BatchRows& rows) = 0;
  // Processor seconds used so far by processes of its own.
  virtual double ServerCpuSeconds() const { return 0; }
};

struct NamedReader {
  std::string name;
  std::unique_ptr<TargetReader> reader;
};

// DataLoss unless the reader brings the last value and the first as they were made.
absl::Status CheckReader(const NamedReader& named, const StoredValues& values);

}  // namespace reflux
