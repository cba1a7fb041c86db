// Runs reflux-bench-losses small: it fails by itself when the library and a formula disagree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/run_benchmark.h"

namespace reflux {
namespace {

TEST(BenchLossesTest, EveryLossAgreesWithItsFormulaAndIsMeasured) {
  const nlohmann::json json =
      RunBenchmark("reflux-bench-losses", "--rounds 1 --height 16 --width 24 --classes 5");
  std::vector<std::string> names;
  for (const auto& row : json.at("rows")) {
    const std::string name = names.emplace_back(row.at("name"));
    EXPECT_GT(row.at("seconds"), 0) << name;
    EXPECT_GT(row.at("ratio_naive"), 0) << name;
    EXPECT_GT(row.at("bytes"), 0) << name;
    EXPECT_GT(row.at("naive_bytes"), 0) << name;
  }
  EXPECT_THAT(names, testing::ElementsAre("kd", "icsd", "cwd", "csd", "i2ckd", "skd", "at",
                                          "fitnet", "ifvd", "cirkd", "contrast", "contrast_spatial",
                                          "contrast_channel", "afdcd_omni", "afdcd_spatial",
                                          "afdcd_channel", "afdcd_bottleneck", "cirkd_memory",
                                          "frskd", "frskd_fitnet", "frskd_overhaul"));
}

}  // namespace
}  // namespace reflux
