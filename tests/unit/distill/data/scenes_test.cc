#include "distill/data/scenes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <opencv2/core.hpp>
#include <set>

#include "common/base/file.h"
#include "distill/data/data_check.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

bool SamePixels(const cv::Mat& a, const cv::Mat& b) {
  return a.size == b.size && a.type() == b.type() && cv::norm(a, b, cv::NORM_INF) == 0;
}

class ScenesTest : public testing::Test {
 protected:
  ScenesTest() {
    root_ = testing::TempDir() + "scenes_" +
            testing::UnitTest::GetInstance()->current_test_info()->name() + "_" +
            std::to_string(getpid());
    fs::remove_all(root_);
  }
  ~ScenesTest() override { fs::remove_all(root_); }

  std::string Read(const std::string& name) {
    auto content = ReadFile(root_ + "/" + name, 1 << 24);
    EXPECT_TRUE(content.ok()) << content.status();
    return content.value_or("");
  }
  absl::StatusOr<SceneSetReport> Write(const SceneSetOptions& options) {
    return WriteScenes(root_, options, nullptr);
  }

  std::string root_;
  SceneSetOptions small_{.train = 3, .val = 2, .height = 60, .width = 80, .seed = 5};
};

TEST_F(ScenesTest, SceneDependsOnSeedAndNumberAlone) {
  const Scene first = DrawScene(5, 1, 60, 80), again = DrawScene(5, 1, 60, 80);
  EXPECT_TRUE(SamePixels(first.image, again.image));
  EXPECT_TRUE(SamePixels(first.label, again.label));
  EXPECT_FALSE(SamePixels(first.image, DrawScene(5, 2, 60, 80).image));
  EXPECT_FALSE(SamePixels(first.image, DrawScene(6, 1, 60, 80).image));
}

TEST_F(ScenesTest, TwentyScenesHoldEveryClassAndVoid) {
  std::array<int64_t, 12> pixels{};
  for (int i = 0; i < 20; ++i) {
    const Scene scene = DrawScene(0, i, 120, 160);
    ASSERT_EQ(scene.label.type(), CV_8UC1);
    for (const uint8_t value : cv::Mat_<uint8_t>(scene.label)) {
      ASSERT_LE(value, kCamVidIgnore);
      ++pixels[value];
    }
  }
  for (int label = 0; label < 12; ++label) EXPECT_GT(pixels[label], 300) << "class " << label;
  // No class swallows the rest.
  EXPECT_LT(*std::max_element(pixels.begin(), pixels.end()), 20 * 120 * 160 / 2);
}

// Were colour enough, a class would have a brightness of its own.
TEST_F(ScenesTest, RoadAndBuildingShareTheirColours) {
  std::array<std::set<int>, 12> greens;
  for (int i = 0; i < 20; ++i) {
    const Scene scene = DrawScene(0, i, 60, 80);
    for (int y = 0; y < 60; ++y) {
      for (int x = 0; x < 80; ++x) {
        greens[scene.label.at<uint8_t>(y, x)].insert(scene.image.at<cv::Vec3b>(y, x)[1] / 8);
      }
    }
  }
  std::set<int> shared;
  for (const int green : greens[3]) {
    if (greens[1].count(green) > 0) shared.insert(green);
  }
  EXPECT_GT(shared.size(), greens[3].size() * 3 / 4);
}

TEST_F(ScenesTest, CamVidReaderAcceptsEveryFile) {
  ASSERT_TRUE(Write(small_).ok());
  for (const auto& [split, count] : {std::pair{"train", 3}, std::pair{"val", 2}}) {
    const auto dataset = OpenDataset({.root = root_, .split = split});
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_EQ((*dataset)->samples().size(), count);
    EXPECT_THAT(CheckDataset(**dataset).problems, testing::IsEmpty());
  }
}

TEST_F(ScenesTest, SameOptionsGiveTheSameBytes) {
  const std::string image = "/val/scene_000001.jpg", label = "/valannot/scene_000001.png";
  ASSERT_TRUE(Write(small_).ok());
  const std::string first_image = Read(image), first_label = Read(label);
  fs::remove_all(root_);
  ASSERT_TRUE(Write(small_).ok());
  EXPECT_EQ(Read(image), first_image);
  EXPECT_EQ(Read(label), first_label);
}

TEST_F(ScenesTest, CompleteSetIsLeftAlone) {
  ASSERT_TRUE(Write(small_).ok());
  const auto before = fs::last_write_time(root_ + "/train/scene_000000.jpg");
  const auto again = Write(small_);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->was_complete);
  EXPECT_EQ(again->written, 0);
  EXPECT_EQ(fs::last_write_time(root_ + "/train/scene_000000.jpg"), before);
}

TEST_F(ScenesTest, InterruptedSetIsCompleted) {
  ASSERT_TRUE(Write(small_).ok());
  const std::string lost = Read("trainannot/scene_000002.png");
  fs::remove(root_ + "/trainannot/scene_000002.png");
  std::ofstream(root_ + "/scenes.txt") << small_.ToString() << "\n";
  const auto report = Write(small_);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->written, 1);
  EXPECT_EQ(report->found, 4);
  EXPECT_EQ(Read("trainannot/scene_000002.png"), lost);
  EXPECT_TRUE(Write(small_)->was_complete);
}

TEST_F(ScenesTest, OtherOptionsInTheSameFolderAreRefused) {
  ASSERT_TRUE(Write(small_).ok());
  SceneSetOptions other = small_;
  other.seed = 6;
  const absl::Status status = Write(other).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("choose another folder, or delete"));
}

TEST_F(ScenesTest, ForeignFolderIsRefusedUntouched) {
  fs::create_directories(root_);
  std::ofstream(root_ + "/holiday.jpg") << "mine";
  EXPECT_TRUE(absl::IsFailedPrecondition(Write(small_).status()));
  EXPECT_FALSE(fs::exists(root_ + "/train"));
}

TEST_F(ScenesTest, OptionsOutOfRangeAreNamed) {
  SceneSetOptions options = small_;
  options.height = 8;
  EXPECT_THAT(std::string(options.Validate().message()), HasSubstr("height is 8"));
  options = small_;
  options.train = 0;
  EXPECT_THAT(std::string(options.Validate().message()), HasSubstr("train is 0"));
  EXPECT_FALSE(fs::exists(root_));
}

}  // namespace
}  // namespace reflux
