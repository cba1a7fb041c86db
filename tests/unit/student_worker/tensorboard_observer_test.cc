#include "student_worker/tensorboard_observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "common/base/file.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::Pair;

// Reads a TFRecord file back by the format's rules; fails the test at a bad frame.
std::vector<tensorboard::Event> ReadEvents(const std::string& directory) {
  std::vector<tensorboard::Event> events;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string bytes = ReadFile(entry.path().string(), 1 << 20).value();
    for (size_t at = 0; at < bytes.size();) {
      uint64_t length = 0;
      std::memcpy(&length, bytes.data() + at, sizeof(length));
      const std::string data = bytes.substr(at + 12, length);
      EXPECT_EQ(bytes.substr(at, 16 + length), FrameRecord(data));
      EXPECT_TRUE(events.emplace_back().ParseFromString(data));
      at += 16 + length;
    }
  }
  return events;
}

TEST(Crc32cTest, AgreesWithTheVectorsOfRfc3720) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aa);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43);
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283);
}

TEST(TensorBoardObserverTest, WritesScalarsAfterAVersionAndAStart) {
  const std::string directory = testing::TempDir() + "reflux_tensorboard_scalars";
  std::filesystem::remove_all(directory);
  {
    auto observer = TensorBoardObserver::Open(directory, 2).value();
    observer->OnStep({.step = 7, .total_loss = 3.5, .losses = {{"kd", 0.25}}});
    observer->OnEvaluation({.step = 7, .miou = 50, .pixel_accuracy = 75});
  }
  const std::vector<tensorboard::Event> events = ReadEvents(directory);
  ASSERT_EQ(events.size(), 4);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_EQ(events[1].session_log().status(), tensorboard::SessionLog::START);
  EXPECT_EQ(events[1].step(), 7);
  std::map<std::string, float> scalars;
  for (const auto& value : events[2].summary().value()) scalars[value.tag()] = value.simple_value();
  EXPECT_EQ(scalars.at("loss/total"), 3.5f);
  EXPECT_EQ(scalars.at("loss/kd"), 0.25f);
  scalars.clear();
  for (const auto& value : events[3].summary().value()) scalars[value.tag()] = value.simple_value();
  EXPECT_THAT(scalars,
              ElementsAre(Pair("validation/miou", 50), Pair("validation/pixel_accuracy", 75)));
}

TEST(TensorBoardObserverTest, AnEvaluationAloneHidesNothing) {
  const std::string directory = testing::TempDir() + "reflux_tensorboard_evaluation";
  std::filesystem::remove_all(directory);
  TensorBoardObserver::Open(directory, 3).value()->OnEvaluation({.step = 9, .miou = 50});
  const std::vector<tensorboard::Event> events = ReadEvents(directory);
  ASSERT_EQ(events.size(), 2);
  EXPECT_TRUE(events[0].has_file_version());
  EXPECT_EQ(events[1].summary().value_size(), 2);
}

TEST(TensorBoardObserverTest, SaysWhereItCannotWrite) {
  const auto observer = TensorBoardObserver::Open("/proc/nowhere", 1);
  ASSERT_FALSE(observer.ok());
  EXPECT_THAT(std::string(observer.status().message()), testing::HasSubstr("/proc/nowhere"));
}

}  // namespace
}  // namespace reflux
