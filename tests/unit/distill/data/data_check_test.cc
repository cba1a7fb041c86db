#include "distill/data/data_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/distill/data/scratch_camvid.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(DataCheck, CountsPixelsImagesAndSizes) {
  ScratchCamVid scratch;
  scratch.AddPair("a");  // class 3, 24x32
  scratch.AddImage("train/b.jpg", 8, 8);
  scratch.AddLabel("trainannot/b.png", 11, 8, 8);
  const auto dataset = OpenDataset({.root = scratch.root}).value();
  const DataReport report = CheckDataset(*dataset);
  EXPECT_THAT(report.problems, ElementsAre());
  EXPECT_EQ(report.images, 2);
  EXPECT_EQ(report.class_pixels[3], 768);
  EXPECT_EQ(report.class_images[3], 1);
  EXPECT_EQ(report.class_pixels[4], 0);
  EXPECT_EQ(report.ignored_pixels, 64);
  EXPECT_THAT(report.sizes, ElementsAre(Pair(Pair(8, 8), 1), Pair(Pair(24, 32), 1)));
}

TEST(DataCheck, TellsEveryProblemInOnePass) {
  ScratchCamVid scratch;
  for (const char* stem : {"good", "range", "size", "cut"}) scratch.AddPair(stem);
  scratch.AddLabel("trainannot/range.png", 200);
  scratch.AddLabel("trainannot/size.png", 3, 20, 32);
  scratch.Truncate("train/cut.jpg", 400);
  scratch.AddImage("train/lonely1.jpg");
  scratch.AddImage("train/lonely2.jpg");
  std::vector<std::string> problems;
  const auto dataset = OpenDataset({.root = scratch.root}, &problems).value();
  EXPECT_THAT(problems, testing::UnorderedElementsAre(HasSubstr("lonely1.jpg has no label"),
                                                      HasSubstr("lonely2.jpg has no label")));
  const DataReport report = CheckDataset(*dataset);
  EXPECT_THAT(report.problems,
              ElementsAre(HasSubstr("cut.jpg: the image file is truncated"),
                          HasSubstr("label value 200"), HasSubstr("its label 20x32")));
  EXPECT_EQ(report.images, 1);
}

TEST(DataCheck, OverlayShowsLabelsOverImages) {
  ScratchCamVid scratch;
  scratch.AddPair("a");
  scratch.Truncate("train/a.jpg", 400);
  const auto dataset = OpenDataset({.root = scratch.root}).value();
  EXPECT_TRUE(absl::IsDataLoss(OverlayPicture(*dataset, 2).status()));
  scratch.AddPair("b");
  const auto two = OpenDataset({.root = scratch.root}).value();
  const cv::Mat picture = OverlayPicture(*two, 1).value();
  EXPECT_GT(picture.cols, 2 * 240);
  // Image (90, 120, 150) and Road (128, 64, 128), half and half, in the middle of the second tile.
  const cv::Vec3b pixel = picture.at<cv::Vec3b>(26 + 90, 6 + 246 + 120);
  EXPECT_NEAR(pixel[0], 109, 3);
  EXPECT_NEAR(pixel[1], 92, 3);
  EXPECT_NEAR(pixel[2], 139, 3);
}

}  // namespace
}  // namespace reflux
