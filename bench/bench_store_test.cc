// Runs reflux-bench-store small: every step is measured, and what it says about space is true.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/run_benchmark.h"

namespace reflux {
namespace {

TEST(BenchStoreTest, MeasuresEveryStep) {
  const nlohmann::json json =
      RunBenchmark("reflux-bench-store", "--quick --dir " + testing::TempDir());
  std::map<std::string, nlohmann::json> rows;
  for (const auto& row : json.at("rows")) {
    rows[row.at("name")] = row;
    EXPECT_GT(row.at("seconds"), 0) << row.at("name");
    EXPECT_GT(row.at("files"), 0) << row.at("name");
    EXPECT_GT(row.at("memory_bytes"), 0) << row.at("name");
  }
  const auto& fill = rows.at("large: fill");
  EXPECT_EQ(fill.at("bytes"), 40'000'000);
  EXPECT_EQ(fill.at("live_bytes"), 40'000'000);
  const auto& evicting = rows.at("large: fill, evicting the oldest");
  EXPECT_LE(evicting.at("live_bytes"), 80'000'000);
  EXPECT_EQ(rows.at("1000 small: fill").at("entries"), 1000);
  EXPECT_LT(rows.at("1000 small: evict a tenth").at("entries"), 1000);
  for (const char* way : {"ascending keys, whole tables", "ascending keys, DeleteRange",
                          "hashed keys, single deletions"}) {
    for (const char* step : {"fill", "delete the older half", "fill again"}) {
      EXPECT_EQ(rows.count(std::string(way) + ": " + step), 1u) << way << ": " << step;
    }
  }
}

}  // namespace
}  // namespace reflux
