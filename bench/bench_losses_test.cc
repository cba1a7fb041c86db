// Runs reflux-bench-losses small: it fails by itself when the library and a formula disagree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

TEST(BenchLossesTest, EveryLossAgreesWithItsFormulaAndIsMeasured) {
  const char* bin = std::getenv("REFLUX_BIN");
  ASSERT_NE(bin, nullptr) << "set REFLUX_BIN to the folder of the programs";
  const std::string json_file =
      absl::StrCat(testing::TempDir(), "bench_losses_", getpid(), ".json");
  const int status = std::system(
      absl::StrCat(bin,
                   "/reflux-bench-losses --rounds 1 --height 16 --width 24 --classes 5 --json ",
                   json_file)
          .c_str());
  ASSERT_EQ(WEXITSTATUS(status), 0);
  std::ifstream file(json_file);
  const nlohmann::json json = nlohmann::json::parse(file);
  std::vector<std::string> names;
  for (const auto& row : json.at("rows")) {
    const std::string name = names.emplace_back(row.at("name"));
    EXPECT_GT(row.at("seconds"), 0) << name;
    EXPECT_GT(row.at("ratio_naive"), 0) << name;
    EXPECT_GT(row.at("bytes"), 0) << name;
    EXPECT_GT(row.at("naive_bytes"), 0) << name;
  }
  EXPECT_THAT(names, testing::ElementsAre("kd", "icsd", "cwd", "csd", "i2ckd", "skd", "at",
                                          "fitnet", "ifvd", "cirkd", "contrast"));
  std::remove(json_file.c_str());
}

}  // namespace
}  // namespace reflux
