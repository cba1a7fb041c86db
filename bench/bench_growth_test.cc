// Runs reflux-bench-growth small: every row is measured at the server that it names.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "bench/run_benchmark.h"

namespace reflux {
namespace {

TEST(BenchGrowthTest, MeasuresEveryRow) {
  const nlohmann::json json =
      RunBenchmark("reflux-bench-growth", "--quick --dir " + testing::TempDir());
  EXPECT_EQ(json.at("value_bytes"), 8192);
  std::set<std::pair<int, int>> rows;
  for (const auto& row : json.at("rows")) {
    rows.emplace(row.at("entries"), row.at("students"));
    EXPECT_GT(row.at("values_a_second"), 0);
    EXPECT_GT(row.at("ratio_to_fewest_entries"), 0);
    EXPECT_GT(row.at("server_memory_bytes"), 1 << 20);
  }
  EXPECT_EQ(rows, (std::set<std::pair<int, int>>{{200, 1}, {200, 3}, {400, 1}, {400, 3}}));
}

}  // namespace
}  // namespace reflux
