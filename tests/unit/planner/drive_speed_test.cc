#include "planner/drive_speed.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

TEST(DriveSpeedTest, WritesReadsAndLeavesNothing) {
  const TemporaryFolder folder;
  const auto speed = MeasureDriveSpeed(folder.path(), {.bytes = 32 << 20});
  ASSERT_TRUE(speed.ok()) << speed.status();
  EXPECT_EQ(speed->bytes, 32 << 20);
  EXPECT_GT(speed->write, 0);
  EXPECT_GT(speed->read, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(DriveSpeedTest, StopsAtItsTimeLimit) {
  const TemporaryFolder folder;
  const auto speed =
      MeasureDriveSpeed(folder.path(), {.bytes = int64_t{64} << 20, .limit = absl::ZeroDuration()});
  ASSERT_TRUE(speed.ok()) << speed.status();
  EXPECT_EQ(speed->bytes, 16 << 20) << "the four blocks that are always written";
}

TEST(DriveSpeedTest, SaysWhereItCannotMeasure) {
  EXPECT_FALSE(MeasureDriveSpeed("/proc/none").ok());
  const TemporaryFolder folder;
  EXPECT_TRUE(
      absl::IsResourceExhausted(MeasureDriveSpeed(folder.path(), {.bytes = 1 << 20}).status()));
}

}  // namespace
}  // namespace reflux
