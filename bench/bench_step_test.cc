// Runs reflux-bench-step as a user does and reads its result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/run_benchmark.h"
#include "bench/step_report.h"

namespace reflux {
namespace {

using testing::ElementsAre;

TEST(BenchStepTest, QuickRunHasAllRows) {
  const nlohmann::json json = RunBenchmark(
      "reflux-bench-step",
      "--quick --precision fp32 --taps logits,aspp --teacher-model deeplabv3_resnet18 --scratch " +
          testing::TempDir());
  std::vector<std::string> names;
  for (const auto& row : json.at("rows")) {
    const std::string name = names.emplace_back(row.at("name"));
    EXPECT_GT(row.at("seconds"), 0) << name;
    EXPECT_GT(row.at("ratio_to_resident"), 0) << name;
    EXPECT_GT(row.at("ratio_to_plain"), 0) << name;
    EXPECT_EQ(row.at("bytes_per_step") > 0, name != "plain" && name != "resident") << name;
    EXPECT_EQ(row.at("teacher_images") > 0, name == "live") << name;
    if (name == "warm_grpc") {
      EXPECT_GT(row.at("server_cpu_seconds"), 0);
    }
  }
  EXPECT_THAT(names, ElementsAre("plain", "resident", "live", "warm_embedded", "warm_grpc"));
}

TEST(StepReportTest, QuartilesInterpolate) {
  const Quartiles four = QuartilesOf({4, 1, 3, 2});
  EXPECT_DOUBLE_EQ(four.q1, 1.75);
  EXPECT_DOUBLE_EQ(four.median, 2.5);
  EXPECT_DOUBLE_EQ(four.q3, 3.25);
  EXPECT_DOUBLE_EQ(QuartilesOf({7}).median, 7);
}

// A slow round slows every row alike: the ratio is taken within the round.
TEST(StepReportTest, RatiosAreTakenWithinARound) {
  const std::vector<StepSeries> all = {
      {.name = "plain", .rounds = {{.seconds = 1}, {.seconds = 5}}},
      {.name = "resident", .rounds = {{.seconds = 2}, {.seconds = 10}}}};
  const nlohmann::json json = nlohmann::json::parse(StepJson({}, all));
  EXPECT_EQ(json.at("rows").at(1).at("ratio_to_plain"), 2);
  EXPECT_EQ(json.at("rows").at(0).at("ratio_to_resident"), 0.5);
}

}  // namespace
}  // namespace reflux
