#include "distill/evaluation/prediction_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/file.h"
#include "distill/data/class_tables.h"
#include "distill/data/png_palette.h"
#include "distill/evaluation/agreement.h"
#include "tests/unit/distill/data/scratch_tree.h"

namespace reflux {
namespace {

using testing::HasSubstr;

class PredictionFilesTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const Dataset& dataset, const cv::Mat& classes) {
    const auto form = ParsePredictionForm(name);
    EXPECT_TRUE(form.ok()) << form.status();
    const std::string folder = tree_.root + "/out/" + name;
    const absl::Status status = WritePrediction(folder, *form, dataset, 0, classes);
    EXPECT_TRUE(status.ok()) << status;
    return folder + "/";
  }
  ScratchTree tree_{"predictions"};
};

TEST_F(PredictionFilesTest, CityscapesGetsLabelIdsAtTheImagesSize) {
  tree_.AddImage("leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png", 8, 16);
  const auto dataset =
      OpenDataset(
          {.format = "cityscapes", .root = tree_.root, .split = "test", .without_labels = true})
          .value();
  const std::string file = "leftImg8bit/test/berlin/berlin_000000_000019_leftImg8bit.png";
  const cv::Mat small(4, 8, CV_8UC1, cv::Scalar(18));  // bicycle
  const cv::Mat ids = cv::imread(Write("cityscapes", *dataset, small) + file, cv::IMREAD_UNCHANGED);
  EXPECT_EQ(ids.size(), cv::Size(16, 8));
  EXPECT_EQ(ids.type(), CV_8UC1);
  EXPECT_EQ(ids.at<uint8_t>(3, 3), 33);
  const cv::Mat colours = cv::imread(Write("colours", *dataset, small) + file);
  EXPECT_EQ(colours.at<cv::Vec3b>(3, 3), cv::Vec3b(32, 11, 119));
  const cv::Mat overlay = cv::imread(Write("overlay", *dataset, small) + file);
  EXPECT_EQ(overlay.at<cv::Vec3b>(3, 3), cv::Vec3b(61, 65, 134));
  EXPECT_THAT(std::string(CheckPredictionForm(PredictionForm::kVoc, *dataset).message()),
              HasSubstr("not those of cityscapes"));
  EXPECT_TRUE(CheckPredictionForm(PredictionForm::kCityscapes, *dataset).ok());
}

TEST_F(PredictionFilesTest, VocGetsAPalette) {
  tree_.AddImage("JPEGImages/2008_000001.jpg", 8, 8);
  tree_.AddText("ImageSets/Segmentation/test.txt", "2008_000001");
  const auto dataset =
      OpenDataset({.format = "voc", .root = tree_.root, .split = "test", .without_labels = true})
          .value();
  const cv::Mat classes(8, 8, CV_8UC1, cv::Scalar(15));
  const std::string png =
      ReadFile(Write("voc", *dataset, classes) + "JPEGImages/2008_000001.png", 1 << 20).value();
  int bits = 0;
  EXPECT_TRUE(IsPalettePng(png, &bits));
  EXPECT_EQ(DecodeLabel(png)->at<uint8_t>(0, 0), 15);
  EXPECT_EQ(DecodeImage(png)->at<cv::Vec3b>(0, 0), VocClasses().palette[15]);
  EXPECT_TRUE(absl::IsInvalidArgument(ParsePredictionForm("gif").status()));
}

TEST(Agreement, CountsPixelsOfEqualClass) {
  Agreement agreement;
  cv::Mat teacher(10, 10, CV_8UC1, cv::Scalar(4));
  ASSERT_TRUE(agreement.AddReference(teacher).ok());
  EXPECT_EQ(agreement.Share(), 0);
  cv::Mat student = teacher.clone();
  student.row(0).setTo(7);
  ASSERT_TRUE(agreement.Compare(0, student).ok());
  EXPECT_DOUBLE_EQ(agreement.Share(), 0.9);
  agreement.Reset();
  ASSERT_TRUE(agreement.Compare(0, teacher).ok());
  EXPECT_DOUBLE_EQ(agreement.Share(), 1);
  EXPECT_TRUE(absl::IsInvalidArgument(agreement.Compare(1, teacher)));
  EXPECT_TRUE(absl::IsInvalidArgument(agreement.Compare(0, cv::Mat(2, 2, CV_8UC1))));
}

}  // namespace
}  // namespace reflux
