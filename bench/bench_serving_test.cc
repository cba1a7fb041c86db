// Runs reflux-bench-serving as a user does and reads its result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "bench/run_benchmark.h"
#include "bench/serving_report.h"

namespace reflux {
namespace {

TEST(BenchServingTest, QuickRunHasBothRows) {
  const nlohmann::json json = RunBenchmark(
      "reflux-bench-serving", "--quick --teacher-model deeplabv3_resnet18 --height 64 --width 96");
  ASSERT_EQ(json.at("rows").size(), 2u);
  for (const auto& row : json.at("rows")) {
    EXPECT_GT(row.at("images_per_second"), 0) << row;
    EXPECT_GT(row.at("lone_seconds"), 0) << row;
  }
  EXPECT_GT(json.at("ratio"), 0);
}

TEST(ServingReportTest, RatiosAndDifferencesAreTakenWithinARound) {
  const std::vector<ServingMeasurement> rounds = {
      {.bare_rate = 10, .served_rate = 9, .bare_seconds = 0.1, .served_seconds = 0.102},
      {.bare_rate = 2, .served_rate = 1.8, .bare_seconds = 0.5, .served_seconds = 0.502}};
  const nlohmann::json json = nlohmann::json::parse(ServingJson({}, rounds));
  EXPECT_DOUBLE_EQ(json.at("ratio"), 0.9);
  EXPECT_NEAR(json.at("added_ms"), 2, 1e-9);
}

}  // namespace
}  // namespace reflux
