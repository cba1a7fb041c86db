#include "planner/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/planner/forecast_scene.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const ModeForecast& Mode(const Forecast& forecast, const std::string& name) {
  for (const ModeForecast& mode : forecast.modes) {
    if (mode.name == name) return mode;
  }
  ADD_FAILURE() << "no mode " << name;
  return forecast.modes.front();
}

TEST(ForecastTest, AddsUpTheStepsOfEachMode) {
  const Forecast forecast = MakeForecast(Job(), Machine());
  EXPECT_DOUBLE_EQ(forecast.cache_bytes, 800 * kMega);
  EXPECT_DOUBLE_EQ(forecast.fill_seconds, 160);
  EXPECT_DOUBLE_EQ(Mode(forecast, "live").run_seconds, 1200);
  // 80 steps fill, at the live rate; 320 are warm.
  EXPECT_DOUBLE_EQ(Mode(forecast, "replay embedded").run_seconds, 80 * 3 + 320 * 1);
  EXPECT_DOUBLE_EQ(Mode(forecast, "replay embedded").filling_seconds, 3);
  EXPECT_DOUBLE_EQ(Mode(forecast, "replay served").run_seconds, 80 * 3.1 + 320 * 1.1);
  EXPECT_EQ(forecast.recommended, "replay embedded");
  EXPECT_THAT(forecast.warnings, IsEmpty());
  EXPECT_FALSE(forecast.drive_bound);
}

TEST(ForecastTest, TellsFromWhenCachingPays) {
  Forecast forecast = MakeForecast(Job(), Machine());
  EXPECT_EQ(forecast.paying_runs, 1);
  // Every view is computed once in 8 epochs either way; only what comes after is saved.
  EXPECT_DOUBLE_EQ(forecast.paying_epochs, 8);
  // A run of one epoch takes one view of each image: the second run finds it stored.
  ForecastJob brief = Job();
  brief.steps = 10;
  brief.views = brief.missing_views = 100;
  Measured slow_drive = Machine();
  slow_drive.drive_write = 2 * kMega;  // 5 s for the targets of a step
  forecast = MakeForecast(brief, slow_drive);
  EXPECT_EQ(forecast.paying_runs, 2);  // 10 steps of 4 s extra against 2 s a step saved
  EXPECT_EQ(forecast.recommended, "live");
  EXPECT_THAT(forecast.reason, HasSubstr("pays from 2 runs"));
  EXPECT_DOUBLE_EQ(forecast.fill_seconds, 50) << "the drive is slower than the teacher";
}

TEST(ForecastTest, NothingPaysWhenTheTeacherCostsNothing) {
  Measured free_teacher = Machine();
  free_teacher.live_step = 0.99;
  const Forecast forecast = MakeForecast(Job(), free_teacher);
  EXPECT_FALSE(forecast.paying_runs.has_value());
  EXPECT_EQ(forecast.paying_epochs, 0);
  // Within a tie the cache is taken, whose views come back; clearly slower it is not.
  EXPECT_EQ(forecast.recommended, "replay embedded");
  free_teacher.live_step = 0.9;
  EXPECT_EQ(MakeForecast(Job(), free_teacher).recommended, "live");
}

TEST(ForecastTest, TargetsBeyondMemoryComeFromTheDrive) {
  Measured small = Machine();
  small.memory_bytes = 900 * kMega;  // 0.8 of it holds less than the 800 MB
  small.drive_read = 5 * kMega;      // 2 s for a step's 10 MB
  const Forecast forecast = MakeForecast(Job(), small);
  EXPECT_TRUE(forecast.drive_bound);
  EXPECT_DOUBLE_EQ(Mode(forecast, "replay embedded").step_seconds, 2);
  EXPECT_DOUBLE_EQ(Mode(forecast, "replay served").step_seconds, 2);
  ASSERT_EQ(forecast.warnings.size(), 1u);
  EXPECT_THAT(forecast.warnings[0], HasSubstr("do not fit in memory"));
  small.drive_read = 0;
  EXPECT_THAT(MakeForecast(Job(), small).warnings[0], HasSubstr("was not measured"));
}

TEST(ForecastTest, WarnsOfASmallDisk) {
  Measured full = Machine();
  full.free_disk_bytes = 700 * kMega;
  const Forecast forecast = MakeForecast(Job(), full);
  ASSERT_EQ(forecast.warnings.size(), 1u);
  EXPECT_THAT(forecast.warnings[0], HasSubstr("the disk is too small: 762.9 MiB are missing"));
  ForecastJob held = Job();
  held.missing_views = 0;
  EXPECT_THAT(MakeForecast(held, full).warnings, IsEmpty());
}

TEST(ForecastTest, AFilledCacheIsWarmFromTheFirstStep) {
  ForecastJob job = Job();
  job.missing_views = 0;
  const Forecast forecast = MakeForecast(job, Machine());
  EXPECT_EQ(forecast.fill_seconds, 0);
  EXPECT_DOUBLE_EQ(Mode(forecast, "replay embedded").run_seconds, 400);
  EXPECT_EQ(Mode(forecast, "replay embedded").filling_seconds, 0);
  EXPECT_EQ(forecast.paying_runs, 1);
  EXPECT_EQ(forecast.reason, "everything is cached already");
}

TEST(ForecastTest, SeveralStudentsNeedAServer) {
  ForecastJob job = Job();
  job.students = 4;
  const Forecast forecast = MakeForecast(job, Machine());
  EXPECT_FALSE(Mode(forecast, "replay embedded").possible);
  EXPECT_EQ(forecast.recommended, "replay served");
}

TEST(FillForecastTest, IsRenewedEachMinuteAndSaysWhatChanged) {
  FillForecast forecast(1000, /*planned_rate=*/2);
  EXPECT_FALSE(forecast.Update(0, 100).has_value());
  EXPECT_FALSE(forecast.Update(59, 200).has_value());
  EXPECT_EQ(forecast.Update(60, 220), "forecast: 6:30 left at 2 targets/s, as before");
  EXPECT_FALSE(forecast.Update(90, 250).has_value());
  EXPECT_EQ(forecast.Update(120, 280),
            "forecast: 12:00 left at 1 targets/s, slower than the 2/s before");
  EXPECT_EQ(forecast.Update(180, 400),
            "forecast: 5:00 left at 2 targets/s, faster than the 1/s before");
  EXPECT_EQ(forecast.Update(240, 400), "forecast: nothing was stored in the last minute");
}

}  // namespace
}  // namespace reflux
