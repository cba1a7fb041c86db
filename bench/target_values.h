// The values that benchmarks store and read: made from a number, the same everywhere. Torch-free.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/targets/target.h"
#include "common/targets/target_key.h"

namespace reflux {

// What is stored in every form: values 0 to count - 1 in fp16.
struct StoredValues {
  std::array<int32_t, 3> shape = {};  // [C, h, w]
  int count = 0;
  int64_t value_bytes() const { return int64_t{2} * shape[0] * shape[1] * shape[2]; }
};

EncodedTarget BenchValue(const StoredValues& values, int number);
// The request for these values, as a student makes it.
TargetRequest BenchRequest(const std::vector<int>& numbers);
// Of values 0 to count - 1.
std::vector<TargetKey> BenchKeys(int count);
TargetSet BenchSet();

// Where values are read to: rows of one value each in one block, as those of a batch tensor.
class BatchRows {
 public:
  // Whether every page is touched beforehand, or at the first write, as with a tensor that was just
  // made; the last asks for huge pages, as numpy does for a large array.
  enum class Pages { kTouched, kFresh, kFreshHuge };
  BatchRows(int rows, int64_t row_bytes, Pages pages = Pages::kTouched);
  char* row(int64_t position) { return block_.get() + (position % rows_) * row_bytes_; }
  int64_t row_bytes() const { return row_bytes_; }
  static constexpr int kRows = 4;

 private:
  struct Free {
    void operator()(char* block) const;
  };
  int rows_;
  int64_t row_bytes_;
  std::unique_ptr<char, Free> block_;
};

}  // namespace reflux
