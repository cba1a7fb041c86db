#include "distill/data/mask_picture.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <opencv2/imgcodecs.hpp>

#include "distill/data/class_tables.h"

namespace reflux {
namespace {

TEST(ColourMask, PaintsClassesAndLeavesVoidBlack) {
  const cv::Mat label = (cv::Mat_<uint8_t>(1, 4) << 0, 10, 11, 255);
  const cv::Mat mask = ColourMask(label, CamVidClasses().palette);
  EXPECT_EQ(mask.at<cv::Vec3b>(0, 0), cv::Vec3b(128, 128, 128));
  EXPECT_EQ(mask.at<cv::Vec3b>(0, 1), cv::Vec3b(192, 128, 0));
  EXPECT_EQ(mask.at<cv::Vec3b>(0, 2), cv::Vec3b(0, 0, 0));
  EXPECT_EQ(mask.at<cv::Vec3b>(0, 3), cv::Vec3b(0, 0, 0));
}

class MaskPictureTest : public testing::Test {
 protected:
  const MaskRow row_{.image = cv::Mat(180, 240, CV_8UC3, cv::Scalar(1, 2, 3)),
                     .masks = {cv::Mat(180, 240, CV_8UC1, cv::Scalar(3)),
                               cv::Mat(90, 120, CV_8UC1, cv::Scalar(8))}};
};

TEST_F(MaskPictureTest, PlacesPicturesSideBySide) {
  const cv::Mat picture = MaskPicture({"image", "truth", "student"}, {row_, row_},
                                      {"Sky", "Building"}, CamVidClasses().palette)
                              .value();
  EXPECT_EQ(picture.cols, 6 + 3 * 246);
  // The middles of the three pictures of the second row.
  const int y = 26 + 186 + 90;
  EXPECT_EQ(picture.at<cv::Vec3b>(y, 6 + 120), cv::Vec3b(1, 2, 3));
  EXPECT_EQ(picture.at<cv::Vec3b>(y, 6 + 246 + 120), CamVidClasses().palette[3]);
  EXPECT_EQ(picture.at<cv::Vec3b>(y, 6 + 492 + 120), CamVidClasses().palette[8]);
}

TEST_F(MaskPictureTest, RefusesRowsThatDoNotFitTheTitles) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      MaskPicture({"image", "truth"}, {row_}, {}, CamVidClasses().palette).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(MaskPicture({"image"}, {}, {}, CamVidClasses().palette).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      MaskPicture({"image"}, {{.image = row_.masks[0]}}, {}, CamVidClasses().palette).status()));
}

TEST_F(MaskPictureTest, IsWrittenAsPng) {
  const std::string path = testing::TempDir() + "mask_picture_test.png";
  ASSERT_TRUE(WritePng(path, row_.image).ok());
  EXPECT_EQ(cv::imread(path).at<cv::Vec3b>(5, 5), cv::Vec3b(1, 2, 3));
  std::remove(path.c_str());
  EXPECT_FALSE(WritePng("/nonexistent/folder/a.png", row_.image).ok());
}

}  // namespace
}  // namespace reflux
