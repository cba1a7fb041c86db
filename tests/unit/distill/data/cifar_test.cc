#include "distill/data/cifar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "distill/data/data_check.h"
#include "distill/data/manifest.h"
#include "distill/data/ppm.h"
#include "distill/data/textures.h"
#include "tests/unit/distill/data/scratch_tree.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A record whose pixels in row-major order are `first`, `first` + 1, ... in each plane, the planes
// 0, 64 and 128 higher.
std::string Record(const std::string& labels, int first) {
  std::string record = labels;
  for (int plane = 0; plane < 3; ++plane) {
    for (int i = 0; i < kCifarSide * kCifarSide; ++i)
      record.push_back(static_cast<char>(first + 64 * plane + i % 32));
  }
  return record;
}

std::string Label(int coarse, int fine) {
  return {static_cast<char>(coarse), static_cast<char>(fine)};
}

class Cifar100Test : public testing::Test {
 protected:
  void SetUp() override {
    tree_.AddText("train.bin", Record(Label(4, 99), 1) + Record(Label(19, 7), 2));
    tree_.AddText("test.bin", Record(Label(0, 3), 3));
  }
  DatasetOptions Options(const std::string& split = "train") const {
    return {.format = "cifar100", .root = tree_.root, .split = split};
  }
  ScratchTree tree_;
};

TEST_F(Cifar100Test, ReadsImagesAndFineLabels) {
  const auto dataset = OpenDataset(Options()).value();
  EXPECT_EQ(dataset->task(), Task::kClassification);
  ASSERT_EQ(dataset->samples().size(), 2u);
  EXPECT_EQ(dataset->samples()[1].image, (Locator{"cifar100", "train.bin#1"}));
  EXPECT_EQ(dataset->class_names().size(), 100u);
  const LabelledImage first = ReadLabelledImage(*dataset, 0).value();
  EXPECT_EQ(first.label.size(), cv::Size(1, 1));
  EXPECT_EQ(first.label.at<uint8_t>(0, 0), 99);
  EXPECT_EQ(first.image.size(), cv::Size(32, 32));
  EXPECT_EQ(first.image.at<cv::Vec3b>(5, 2), cv::Vec3b(131, 67, 3));  // blue, green, red
  EXPECT_EQ(ReadLabelledImage(*dataset, 1)->label.at<uint8_t>(0, 0), 7);
  int64_t label = -1;
  WriteLabel(*dataset, first.label, {}, &label);
  EXPECT_EQ(label, 99);
  EXPECT_EQ(LabelSize(*dataset, 32, 32), (std::array<int64_t, 2>{1, 1}));
}

TEST_F(Cifar100Test, TheEncodedImageIsOneForStudentAndTeacher) {
  const auto dataset = OpenDataset(Options()).value();
  const std::string bytes = dataset->ReadImage(1).value();
  EXPECT_EQ(bytes.substr(0, 13), "P6\n32 32\n255\n");
  EXPECT_EQ(ReadImageFile(tree_.root, dataset->samples()[1].image).value(), bytes);
  EXPECT_EQ(DecodeImage(bytes)->at<cv::Vec3b>(0, 0), cv::Vec3b(130, 66, 2));
  EXPECT_THAT(SampleDigests(*dataset, tree_.root + "/manifests").value(),
              ElementsAre(Sha256::Of(dataset->ReadImage(0).value()), Sha256::Of(bytes)));
  EXPECT_EQ(ReadImageFacts(*dataset, tree_.root + "/manifests")->at(1).height, 32);
  EXPECT_TRUE(absl::IsNotFound(ReadImageFile(tree_.root, {"cifar100", "train.bin#2"}).status()));
  EXPECT_TRUE(absl::IsNotFound(ReadImageFile(tree_.root, {"cifar100", "train.bin#x"}).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(ReadImageFile(tree_.root, {"cifar100", "../train.bin#0"}).status()));
}

TEST_F(Cifar100Test, SplitsAndLimits) {
  EXPECT_EQ(OpenDataset(Options("val")).value()->samples()[0].image.path, "test.bin#0");
  EXPECT_EQ(OpenDataset(Options("test")).value()->samples().size(), 1u);
  EXPECT_TRUE(absl::IsNotFound(OpenDataset(Options("trainval")).status()));
  DatasetOptions one = Options();
  one.max_images = 1;
  EXPECT_EQ(OpenDataset(one).value()->samples().size(), 1u);
  tree_.AddText("fine_label_names.txt", "a\n");  // not a hundred
  EXPECT_EQ(OpenDataset(Options()).value()->class_names()[1], "1");
}

TEST_F(Cifar100Test, BadFilesAreTold) {
  tree_.Truncate("train.bin", 5000);
  EXPECT_THAT(std::string(OpenDataset(Options()).status().message()),
              HasSubstr("5000 bytes are no whole number of records of 3074 bytes"));
  tree_.AddText("train.bin", Record(Label(0, 1), 0) + Record(Label(0, 100), 0));
  const absl::Status range = OpenDataset(Options()).status();
  EXPECT_TRUE(absl::IsDataLoss(range));
  EXPECT_THAT(std::string(range.message()), HasSubstr("the label of record 1 is 100"));
  std::filesystem::remove(tree_.root + "/train.bin");
  EXPECT_THAT(std::string(OpenDataset(Options()).status().message()),
              HasSubstr("the layout is ROOT/train.bin and ROOT/test.bin"));
}

TEST_F(Cifar100Test, TheCheckCountsImages) {
  const auto dataset = OpenDataset(Options()).value();
  const DataReport report = CheckDataset(*dataset);
  EXPECT_THAT(report.problems, ElementsAre());
  EXPECT_EQ(report.task, Task::kClassification);
  EXPECT_EQ(report.class_images[99], 1);
  EXPECT_EQ(report.class_images[0], 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(OverlayPicture(*dataset, 1).status()));
}

TEST(Cifar10Test, TakesTheBatchesInOrder) {
  ScratchTree tree;
  const std::string five(1, 5), nine(1, 9);
  tree.AddText("data_batch_1.bin", Record(five, 1) + Record(nine, 2));
  tree.AddText("data_batch_2.bin", Record(nine, 3));
  tree.AddText("test_batch.bin", Record(five, 4));
  tree.AddText("batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  const auto dataset = OpenDataset({.format = "cifar10", .root = tree.root}).value();
  ASSERT_EQ(dataset->samples().size(), 3u);
  EXPECT_EQ(dataset->samples()[2].image.path, "data_batch_2.bin#0");
  EXPECT_EQ(dataset->class_names()[9], "j");
  const LabelledImage last = ReadLabelledImage(*dataset, 2).value();
  EXPECT_EQ(last.label.at<uint8_t>(0, 0), 9);
  EXPECT_EQ(last.image.at<cv::Vec3b>(0, 0), cv::Vec3b(131, 67, 3));
  // The same bytes as CIFAR-100 do not fit its records.
  std::filesystem::rename(tree.root + "/data_batch_1.bin", tree.root + "/train.bin");
  EXPECT_TRUE(absl::IsDataLoss(OpenDataset({.format = "cifar100", .root = tree.root}).status()));
}

TEST(PpmTest, OnlyTheWholeImageIsTaken) {
  const std::string ppm = PpmFromPlanes("rRgGbB", 1, 2);
  EXPECT_EQ(ppm, "P6\n2 1\n255\nrgbRGB");
  EXPECT_EQ(DecodePpm(ppm)->at<cv::Vec3b>(0, 1), cv::Vec3b('B', 'G', 'R'));
  for (const std::string& bad :
       {ppm + "x", ppm.substr(0, ppm.size() - 1), std::string("P6\n"), std::string("P6\n2 1\n15\n"),
        std::string("P6\n-2 1\n255\n"), std::string("P6\n# a comment\n2 1\n255\nrgbRGB")}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodePpm(bad).status())) << bad;
  }
  EXPECT_TRUE(absl::IsResourceExhausted(DecodePpm("P6\n100000 1\n255\n").status()));
}

TEST(TexturesTest, AreASoundSetThatDependsOnTheSeedAlone) {
  ScratchTree tree;
  for (const char* format : {"cifar10", "cifar100"}) {
    const std::string root = absl::StrCat(tree.root, "/", format);
    const TextureSetOptions options{.format = format, .train = 120, .test = 30, .seed = 4};
    EXPECT_TRUE(WriteTextures(root, options, nullptr).value());
    EXPECT_FALSE(WriteTextures(root, options, nullptr).value());
    EXPECT_TRUE(absl::IsFailedPrecondition(
        WriteTextures(root, {.format = format, .train = 121, .test = 30}, nullptr).status()));
    const auto train = OpenDataset({.format = format, .root = root}).value();
    const DataReport report = CheckDataset(*train);
    EXPECT_THAT(report.problems, ElementsAre());
    EXPECT_EQ(report.images, 120);
    EXPECT_EQ(report.class_images[9], 120 / (std::string(format) == "cifar10" ? 10 : 100) +
                                          (std::string(format) == "cifar10" ? 0 : 1));
    EXPECT_NE(train->class_names()[0], "0");
  }
  const cv::Mat drawn = DrawTexture(4, 17, 17);
  const auto hundred = OpenDataset({.format = "cifar100", .root = tree.root + "/cifar100"}).value();
  EXPECT_EQ(cv::norm(ReadLabelledImage(*hundred, 17)->image, drawn, cv::NORM_INF), 0);
  EXPECT_GT(cv::norm(DrawTexture(5, 17, 17), drawn, cv::NORM_INF), 0);
  EXPECT_GT(cv::norm(DrawTexture(4, 17, 117), drawn, cv::NORM_INF), 0);
}

}  // namespace
}  // namespace reflux
