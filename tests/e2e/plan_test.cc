// The plan against real runs: times within 25 %, and the recommended mode the fastest or within 5 %
// of it. Every mode runs three times, in turn, and counts by its median: one run of each would tell
// the machine's spread from a difference between two modes no better than chance. Prints the table
// of docs/results/plan.md. Wants a machine that does nothing else.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cache/inventory.h"
#include "common/base/file.h"
#include "tests/e2e/orchestrator_process.h"
#include "tests/e2e/program.h"
#include "tests/e2e/proof_scene.h"

namespace reflux {
namespace {

constexpr double kTolerance = 0.25;
constexpr int kImages = 24, kRounds = 3;

// What a real run took.
struct Measured {
  // Seconds a step: mean of those that compute targets, without the first three; of those after.
  double filling = 0, step = 0;
  double seconds = 0;  // of all steps together
};

// The median of every figure.
Measured Median(const std::vector<Measured>& runs) {
  const auto of = [&](double Measured::*figure) {
    std::vector<double> values;
    for (const Measured& run : runs) values.push_back(run.*figure);
    std::ranges::sort(values);
    return values[values.size() / 2];
  };
  return {.filling = of(&Measured::filling),
          .step = of(&Measured::step),
          .seconds = of(&Measured::seconds)};
}

class PlanTest : public testing::Test {
 protected:
  // Views of 24 images, two each, in steps of 4: 12 steps fill, 36 are warm.
  void SetUp() override { ASSERT_TRUE(WriteProofScene(root_, kImages, "deeplabv3_resnet50")); }
  void TearDown() override {
    if (!HasFailure()) std::filesystem::remove_all(root_);
  }

  nlohmann::json Json(const std::string& command, const std::string& folder) {
    const ShellOutput output = RunReflux(
        absl::StrCat(command, " ", job_, kSettings, " --json --dir ", root_, "/", folder), false);
    EXPECT_EQ(output.exit_code, 0) << output.text;
    return nlohmann::json::parse(output.text);
  }
  Measured ReadRun(const std::string& folder, int filling_steps) {
    Measured run;
    int filling = 0, warm = 0;
    std::istringstream lines(ReadFile(folder + "/metrics.jsonl", 1 << 24).value_or(""));
    for (std::string line; std::getline(lines, line);) {
      const nlohmann::json record = nlohmann::json::parse(line);
      if (record.at("kind") != "step") continue;
      const int64_t step = record.at("step");
      const double seconds = record.at("seconds");
      run.seconds += seconds;
      if (step <= 3) continue;  // the first batches are not read ahead
      // The batches of the first warm steps were made while others were still computed.
      if (step <= filling_steps) {
        run.filling += seconds;
        ++filling;
      } else if (step > filling_steps + 4 || filling_steps == 0) {
        run.step += seconds;
        ++warm;
      }
    }
    if (filling > 0) run.filling /= filling;
    if (warm > 0) run.step /= warm;
    return run;
  }
  Measured Embedded(const std::string& folder, const std::string& more, int filling_steps) {
    const ShellOutput output =
        RunReflux(absl::StrCat("run ", job_, kSettings, " --dir ", root_, "/", folder, " ", more));
    EXPECT_EQ(output.exit_code, 0) << output.text;
    return ReadRun(root_ + "/" + folder, filling_steps);
  }
  Measured Served(const std::string& folder, int filling_steps) {
    const std::string state = root_ + "/" + folder;
    const OrchestratorProcess orchestrator(state);
    const ShellOutput output = RunReflux(absl::StrCat(
        "submit ", job_, kSettings, " --watch --server @", state, "/endpoints/orchestrator"));
    EXPECT_EQ(output.exit_code, 0) << output.text;
    std::string job;
    for (const auto& entry : std::filesystem::directory_iterator(state + "/jobs")) {
      job = entry.path().string();
    }
    return ReadRun(job, filling_steps);
  }
  // Every mode once a round, each time from an empty cache; the modes' medians.
  std::map<std::string, Measured> RunModes() {
    constexpr int kFilling = 2 * kImages / 4;
    std::map<std::string, std::vector<Measured>> runs;
    for (int round = 0; round < kRounds; ++round) {
      const auto folder = [&](absl::string_view mode) { return absl::StrCat(mode, round); };
      runs["live"].push_back(Embedded(folder("live"), "--set targets.views=live", 0));
      runs["replay embedded"].push_back(Embedded(folder("embedded"), "", kFilling));
      runs["replay served"].push_back(Served(folder("served"), kFilling));
    }
    std::map<std::string, Measured> medians;
    for (const auto& [mode, measured] : runs) {
      medians[mode] = Median(measured);
      std::printf("%s, whole runs, s:", mode.c_str());
      for (const Measured& run : measured) std::printf(" %.3f", run.seconds);
      std::printf("\n");
    }
    return medians;
  }
  static void Compare(const std::string& what, double planned, double ran) {
    std::printf("| %-32s | %9.3f | %9.3f | %5.2f |\n", what.c_str(), planned, ran, planned / ran);
    EXPECT_LE(std::abs(planned / ran - 1), kTolerance) << what;
  }

  static constexpr char kSettings[] =
      " --set train.epochs=8 --set train.threads=2 --set teacher.threads=2 "
      "--set train.checkpoint_every=1000 --set targets.codec=fp16";
  const std::string root_ = testing::TempDir() + "reflux_plan";
  const std::string job_ = root_ + "/job.yaml";
};

TEST_F(PlanTest, AgreesWithRealRuns) {
  const nlohmann::json plan = Json("plan", "plan");
  std::map<std::string, nlohmann::json> planned;
  for (const nlohmann::json& mode : plan["modes"]) planned[mode["name"]] = mode;
  std::map<std::string, Measured> ran = RunModes();
  const nlohmann::json fill = Json("fill", "fill");

  std::printf("| what | plan | run | ratio |\n|---|---|---|---|\n");
  const auto inventory = OpenFolderInventory(root_ + "/fill/cache");
  ASSERT_TRUE(inventory.ok()) << inventory.status();
  const auto stored = static_cast<double>((*inventory)->Stats().value().live_bytes);
  EXPECT_NEAR(plan["cache_bytes"].get<double>(), stored, 0.01 * stored);
  Compare("fill, s", plan["fill_seconds"], fill["seconds"]);
  Compare("replay embedded, filling, s/step", planned["replay embedded"]["filling_seconds"],
          ran["replay embedded"].filling);
  double fastest = ran["live"].seconds;
  for (const auto& [mode, run] : ran) {
    Compare(mode + ", warm, s/step", planned[mode]["step_seconds"], run.step);
    Compare(mode + ", whole run, s", planned[mode]["run_seconds"], run.seconds);
    fastest = std::min(fastest, run.seconds);
  }
  const std::string recommended = plan["recommended"]["mode"];
  std::printf("recommended: %s, %.2f times the fastest\n", recommended.c_str(),
              ran[recommended].seconds / fastest);
  EXPECT_LE(ran[recommended].seconds, 1.05 * fastest) << recommended;
}

}  // namespace
}  // namespace reflux
