// The values that reflux-bench-targets stores and reads: made from a number, the same everywhere.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/target_bench_options.h"
#include "common/targets/target.h"
#include "common/targets/target_key.h"

namespace reflux {

// Value number `number`, as fp16 [channels, kHeight, kWidth].
EncodedTarget BenchValue(const TargetBenchOptions& options, int number);
// The request for these values, as a student makes it.
TargetRequest BenchRequest(const std::vector<int>& numbers);
TargetSet BenchSet();

// Where values are read to: rows of one value each in one block, as those of a batch tensor.
class BatchRows {
 public:
  BatchRows(int rows, int64_t row_bytes);
  char* row(int64_t position) { return block_.get() + (position % rows_) * row_bytes_; }
  int64_t row_bytes() const { return row_bytes_; }
  static constexpr int kRows = 4;

 private:
  struct Free {
    void operator()(char* block) const;
  };
  const int rows_;
  const int64_t row_bytes_;
  std::unique_ptr<char, Free> block_;
};

}  // namespace reflux
