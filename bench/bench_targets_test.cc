// reflux-bench-targets runs, and every way brings the same bytes (it ends with an error otherwise).
#include <gtest/gtest.h>

#include <set>

#include "bench/run_benchmark.h"

namespace reflux {
namespace {

TEST(BenchTargetsTest, MeasuresEveryRow) {
  const nlohmann::json result = RunBenchmark("reflux-bench-targets", "--quick --channels 64");
  EXPECT_EQ(result["value_bytes"], 64 * 45 * 60 * 2);
  std::set<std::string> names;
  for (const auto& row : result["rows"]) {
    names.insert(row["name"]);
    EXPECT_GT(row["gigabytes_per_second"], 0) << row;
    EXPECT_GT(row["ratio_to_npy"], 0) << row;
    EXPECT_GE(row["cpu_seconds_per_gigabyte"], 0) << row;
  }
  EXPECT_EQ(names, (std::set<std::string>{"npy", "lmdb", "store", "store_unchecked", "same_host",
                                          "grpc", "grpc_bare"}));
}

}  // namespace
}  // namespace reflux
