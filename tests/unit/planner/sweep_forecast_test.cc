#include "planner/sweep_forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/spec/job_file.h"
#include "planner/step_cost.h"
#include "planner/sweep_plan_text.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

// Two variants of three seeds each, 100 steps, and a baseline: live 3 s a step, from the cache 1 s.
std::vector<SweepRow> Rows() {
  const ForecastJob job{.images = 100, .steps = 100, .global_batch = 8, .replay = 8, .views = 800};
  Measured measured{.view_bytes = 10,
                    .view_seconds = 1,
                    .alone_step = 0.5,
                    .live_step = 3,
                    .warm_step = 1,
                    .served_step = 1.5,
                    .memory_bytes = 1e9,
                    .free_disk_bytes = 1e9};
  std::vector<SweepRow> rows = {{.name = "kd", .jobs = 3, .job = job, .measured = measured},
                                {.name = "icsd", .jobs = 3, .job = job, .measured = measured}};
  rows.push_back({.name = "baseline",
                  .jobs = 3,
                  .reads_teacher = false,
                  .job = {.steps = 100, .views = 0},
                  .measured = measured});
  return rows;
}

NeedsCost Cost() {
  return {.targets = 1600,
          .bytes = 1e4,
          .missing_bytes = 1e4,
          .missing_views = 800,
          .fill_seconds = 500};
}

TEST(SweepForecastTest, FillsOnceForAllStudents) {
  const SweepForecast forecast = MakeSweepForecast(Rows(), Cost());
  EXPECT_EQ(forecast.students, 6);
  ASSERT_EQ(forecast.modes.size(), 3u);
  EXPECT_DOUBLE_EQ(forecast.modes[0].seconds(), 500 + 6 * 100 + 3 * 50);
  EXPECT_DOUBLE_EQ(forecast.modes[1].seconds(), 500 + 6 * 150 + 3 * 50);
  EXPECT_DOUBLE_EQ(forecast.modes[2].seconds(), 6 * 300 + 3 * 50);
  EXPECT_EQ(forecast.recommended, "replay embedded");
  EXPECT_EQ(forecast.paying_students, 3) << "each saves 200 s of the 500";
  EXPECT_THAT(forecast.warnings, testing::IsEmpty());
}

TEST(SweepForecastTest, TooFewStudentsRunLive) {
  NeedsCost cost = Cost();
  cost.fill_seconds = 1300;
  const SweepForecast forecast = MakeSweepForecast(Rows(), cost);
  EXPECT_EQ(forecast.recommended, "live");
  EXPECT_EQ(forecast.paying_students, 7);
  EXPECT_THAT(forecast.reason, HasSubstr("pays from 7 students on, the sweep has 6"));
  cost.fill_seconds = cost.missing_bytes = 0;
  cost.missing_views = 0;
  EXPECT_EQ(MakeSweepForecast(Rows(), cost).reason, "everything is cached already");
  cost.missing_bytes = 1e12;
  EXPECT_THAT(MakeSweepForecast(Rows(), cost).warnings,
              testing::ElementsAre(HasSubstr("the disk is too small")));
}

TEST(SweepForecastTest, TheFasterCachedModeIsHeldAgainstLive) {
  std::vector<SweepRow> rows = Rows();
  for (SweepRow& row : rows) row.measured.warm_step = 3.2;
  const SweepForecast forecast = MakeSweepForecast(rows, Cost());
  EXPECT_EQ(forecast.recommended, "replay served");
  EXPECT_EQ(forecast.paying_students, 4) << "each saves 150 s of the 500";
  EXPECT_THAT(forecast.reason, HasSubstr("one fill for 6 students"));
}

TEST(SweepForecastTest, JobsOfSeveralStudentsNeedAServer) {
  std::vector<SweepRow> rows = Rows();
  rows[1].job.students = 2;
  const SweepForecast forecast = MakeSweepForecast(rows, Cost());
  EXPECT_FALSE(forecast.modes[0].possible);
  EXPECT_EQ(forecast.recommended, "replay served");
  EXPECT_EQ(forecast.paying_students, 4);
}

TEST(SweepPlanTextTest, HasEveryVariantAndTheWhole) {
  SweepPlan plan{.name = "three",
                 .jobs = 9,
                 .taps = {{.teacher = "default", .spec = {.tap = "logits"}, .bytes = 10}},
                 .cost = Cost(),
                 .machine = {.free_disk_bytes = 1e9},
                 .rows = Rows()};
  plan.coverage.specs.push_back({.teacher = "default", .targets = 1600});
  plan.forecast = MakeSweepForecast(plan.rows, plan.cost);
  const std::string text = SweepPlanText(plan);
  for (const std::string part :
       {"0 of 1600 targets cached.", "three: 9 jobs, 6 of them read a teacher",
        "9.8 KiB for 1600 targets", "8:20 for 800 views at 1.6 a second", "REPLAY EMBEDDED",
        "live             -", "from 3 students like these on; the sweep has 6",
        "recommended:   replay embedded (one fill for 6 students"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, testing::ContainsRegex("icsd +3 +100 +1:40 +1 +2:30 +1.5 +5:00 +3 *\n"));
  EXPECT_THAT(text, testing::ContainsRegex("replay embedded +8:20 +12:30 +20:50 +recommended\n"));
  const nlohmann::json json = nlohmann::json::parse(SweepPlanJson(plan));
  EXPECT_EQ(json["runs"][2]["name"], "baseline");
  EXPECT_EQ(json["modes"][0]["seconds"], 1250);
  EXPECT_EQ(json["paying_students"], 3);
}

TEST(StepCostTest, SeedsRatesAndWeightsChangeNothingCropsAndLossesDo) {
  const auto job = [](const std::string& override) {
    return ParseJob({.text = "data: {format: camvid, root: d}\nteacher: {checkpoint: t}\n"
                             "student: {model: deeplabv3_resnet18}\nlosses: {kd: {weight: 2}}\n"
                             "train: {steps: 1}\n"},
                    {override})
        .value();
  };
  const v1::JobSpec base = job("name=base");
  for (const char* same : {"train.seed=4", "train.steps=9", "train.learning_rate=0.5", "name=other",
                           "losses.kd.weight=7", "data.view_seed=1", "targets.cache=lab"}) {
    EXPECT_TRUE(SameStepCost(base, job(same))) << same;
  }
  for (const char* differs : {"data.crop=[64, 64]", "losses.icsd={}", "losses.kd.weight=0",
                              "train.global_batch=2", "targets.codec=fp32"}) {
    EXPECT_FALSE(SameStepCost(base, job(differs))) << differs;
  }
}

}  // namespace
}  // namespace reflux
