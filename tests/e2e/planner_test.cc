// Coverage, why-miss and fill with the real programs: what is listed is what a run asks for, and a
// filled cache leaves a run's teacher idle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "cache/inventory.h"
#include "tests/e2e/orchestrator_process.h"
#include "tests/e2e/program.h"
#include "tests/e2e/proof_scene.h"
#include "tests/support/folder_watch.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

class PlannerTest : public testing::Test {
 protected:
  // 8 images, two views, logits and aspp: 32 targets, all taken in the first two of three epochs.
  void SetUp() override { ASSERT_TRUE(WriteProofScene(root_, 8, "deeplabv3_resnet18")); }
  void TearDown() override {
    if (!HasFailure()) std::filesystem::remove_all(root_);
  }
  ShellOutput OnRun(const std::string& command, const std::string& rest = "") {
    return RunReflux(absl::StrCat(command, " ", job_, " --dir ", run_, " ", rest));
  }
  int64_t Entries() const { return OpenFolderInventory(run_ + "/cache").value()->Stats()->entries; }

  static constexpr char kShortPlan[] = " --json --steps 1 --drive-mib 16 --view-images 2";
  const std::string name_ = testing::UnitTest::GetInstance()->current_test_info()->name();
  const std::string root_ = testing::TempDir() + "reflux_planner_" + name_;
  const std::string job_ = root_ + "/job.yaml", run_ = root_ + "/run";
};

TEST_F(PlannerTest, AFilledCacheIsWhatARunAsksFor) {
  ShellOutput output = OnRun("targets why-miss");
  EXPECT_EQ(output.exit_code, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("0 of 32 targets cached.\n"));
  EXPECT_THAT(output.text, HasSubstr("The cache is empty."));
  output = OnRun("fill");
  EXPECT_EQ(output.exit_code, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("32 of 32 targets cached, 32 by this fill.\n"));
  EXPECT_EQ(Entries(), 32);
  output = OnRun("run");
  EXPECT_EQ(output.exit_code, 0) << output.text;
  EXPECT_EQ(Entries(), 32) << "the run asked for nothing else";
  output = OnRun("fill", "--json");
  EXPECT_THAT(output.text, HasSubstr("\"stored\":0"));
  EXPECT_THAT(OnRun("targets coverage").text, "32 of 32 targets cached.\n");
  // What differs is named: the codec, which is of the set, and the crop, which is of the views.
  EXPECT_THAT(OnRun("targets why-miss", "--set targets.codec=fp16").text,
              HasSubstr("0 of 16 targets cached. Nearest set camvid/deeplabv3_resnet18@"));
  EXPECT_THAT(OnRun("targets why-miss", "--set targets.codec=fp16").text,
              HasSubstr(" differs in codec only."));
  EXPECT_THAT(OnRun("targets why-miss", "--set data.crop=[64,64]").text,
              HasSubstr("holds 16 targets, all of other images or views"));
  EXPECT_THAT(OnRun("targets coverage", "--set targets.views=live").text,
              HasSubstr("fresh views never come back"));
}

TEST_F(PlannerTest, ARunThatWasNotFilledStoresWhatIsListed) {
  // One step of four images: 8 of the 32 targets.
  EXPECT_EQ(OnRun("run", "--set train.epochs=0 --set train.steps=1").exit_code, 0);
  EXPECT_EQ(Entries(), 8);
  EXPECT_EQ(OnRun("targets coverage", "--set train.epochs=0 --set train.steps=1").text,
            "8 of 8 targets cached.\n");
  const ShellOutput output = OnRun("targets why-miss");
  EXPECT_THAT(output.text, HasSubstr("8 of 32 targets cached.\n"));
  EXPECT_THAT(output.text, HasSubstr("has not been filled yet."));
}

TEST_F(PlannerTest, APlanSaysWhatTheJobShouldRatherUse) {
  const nlohmann::json plan = nlohmann::json::parse(
      RunReflux(absl::StrCat("plan ", job_, kShortPlan, " --dir ", run_), false).text);
  std::map<std::string, nlohmann::json> rows;
  for (const nlohmann::json& row : plan["view_rows"]) rows[row["views"]] = row;
  ASSERT_EQ(rows.size(), 6u) << plan;  // whole, replay: 1, 2, 4, 16, live
  EXPECT_EQ(rows["replay: 2"]["cache_bytes"], plan["cache_bytes"]);
  EXPECT_EQ(rows["replay: 1"]["cache_bytes"], 0.5 * plan["cache_bytes"].get<double>());
  EXPECT_GT(rows["whole"]["cache_bytes"], rows["replay: 1"]["cache_bytes"]) << "larger maps";
  EXPECT_GT(rows["whole"]["run_seconds"], 0);
  EXPECT_THAT(plan["whole"].get<std::string>(), HasSubstr("2 views of 2 images); logits cosine"));
  const std::string views = plan["recommended"]["views"];
  EXPECT_TRUE(views == "whole" || views == "replay: 3") << views;  // three epochs
  EXPECT_THAT(plan["recommended"]["reduce_reason"].get<std::string>(),
              HasSubstr("at the same loss"));
  EXPECT_GT(plan["measured"]["drive_write"], 0);
  EXPECT_FALSE(std::filesystem::exists(run_ + "/cache")) << "the job's own is left alone";
}

TEST_F(PlannerTest, RunsShareACacheThatTheyName) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(root_);  // where runs/caches is
  const std::string shared = "--set targets.cache=shared";
  EXPECT_EQ(OnRun("fill", shared).exit_code, 0);
  const std::string other =
      absl::StrCat(job_, " --dir ", root_, "/other --set train.seed=9 ", shared);
  EXPECT_EQ(RunReflux("targets coverage " + other).text, "32 of 32 targets cached.\n");
  EXPECT_EQ(RunReflux("run " + other).exit_code, 0);
  EXPECT_EQ(OpenFolderInventory(root_ + "/runs/caches/shared").value()->Stats()->entries, 32);
  EXPECT_FALSE(std::filesystem::exists(root_ + "/other/cache"));
  std::filesystem::current_path(before);
}

TEST_F(PlannerTest, AKilledFillGoesOn) {
  const pid_t child = fork();
  if (child == 0) {
    const std::string program = absl::StrCat(std::getenv("REFLUX_BIN"), "/reflux");
    execl(program.c_str(), "reflux", "fill", job_.c_str(), "--dir", run_.c_str(), "--requests", "1",
          nullptr);
    _exit(127);
  }
  // Killed as soon as it has begun to store, wherever that is.
  FolderWatch(root_).Await(
      [&] {
        return std::filesystem::exists(run_ + "/cache/FORMAT") ||
               waitpid(child, nullptr, WNOHANG) != 0;
      },
      absl::Minutes(5));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  const ShellOutput output = OnRun("fill");
  EXPECT_EQ(output.exit_code, 0) << output.text;
  EXPECT_THAT(output.text, HasSubstr("32 of 32 targets cached, "));
  EXPECT_EQ(Entries(), 32);
}

TEST_F(PlannerTest, SubmitTellsCoverageAndFillServesAServer) {
  const OrchestratorProcess orchestrator(root_ + "/state");
  const std::string server = "--server @" + root_ + "/state/endpoints/orchestrator";
  const ShellOutput first = RunReflux(absl::StrCat("submit ", job_, " ", server, " --watch"));
  EXPECT_EQ(first.exit_code, 0) << first.text;
  EXPECT_THAT(first.text, HasSubstr(" of 32 targets cached.\n"));
  // Services linger: the cache of the first job still runs, with its teacher.
  std::string cache;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(root_ + "/state/endpoints/cache")) {
    if (entry.is_regular_file()) cache = "@" + entry.path().string();
  }
  EXPECT_EQ(RunReflux(absl::StrCat("targets coverage ", job_, " --cache ", cache)).text,
            "32 of 32 targets cached.\n");
  const nlohmann::json plan = nlohmann::json::parse(
      RunReflux(absl::StrCat("plan ", job_, kShortPlan, " --cache ", cache), false).text);
  EXPECT_EQ(plan["missing_views"], 0);
  EXPECT_EQ(plan["measured"]["drive_write"], 0) << "the server's drive is not this machine's";
  EXPECT_GT(plan["measured"]["free_disk_bytes"], 0);
  EXPECT_THAT(plan["warnings"][0].get<std::string>(), HasSubstr("cache servers' machines"));
  const ShellOutput more = RunReflux(
      absl::StrCat("fill ", job_, " --cache ", cache, " --set \"targets.views='replay: 3'\""));
  EXPECT_EQ(more.exit_code, 0) << more.text;
  EXPECT_THAT(more.text, HasSubstr("48 of 48 targets cached, 16 by this fill.\n"));
  const ShellOutput second =
      RunReflux(absl::StrCat("submit ", job_, " ", server, " --set train.seed=9"));
  EXPECT_THAT(second.text, HasSubstr("\n32 of 32 targets cached.\n"));
}

}  // namespace
}  // namespace reflux
