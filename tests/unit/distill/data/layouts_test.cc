// Each published layout on a tiny tree like the official one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "distill/data/data_check.h"
#include "distill/data/layout.h"
#include "distill/data/png_palette.h"
#include "tests/unit/distill/data/scratch_tree.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

int FirstPixel(const Dataset& dataset, size_t index) {
  const auto label = dataset.ReadLabel(index);
  EXPECT_TRUE(label.ok()) << label.status();
  return label.ok() ? label->at<uint8_t>(0, 0) : -1;
}

std::vector<std::string> Names(const Dataset& dataset) {
  std::vector<std::string> names;
  for (const SampleFiles& files : dataset.samples()) names.push_back(files.image.path);
  return names;
}

std::string Refusal(const DatasetOptions& options) {
  return std::string(OpenDataset(options).status().message());
}

TEST(Layouts, CityscapesReadsLabelIdsAndTrainIds) {
  ScratchTree tree;
  for (const char* name : {"aachen/aachen_000000_000019", "bochum/bochum_000000_000313"}) {
    tree.AddImage(std::string("leftImg8bit/train/") + name + "_leftImg8bit.png");
  }
  tree.AddLabel("gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png", 26);
  tree.AddLabel("gtFine/train/aachen/aachen_000000_000019_gtFine_color.png", 26);
  tree.AddLabel("gtFine/train/bochum/bochum_000000_000313_gtFine_labelTrainIds.png", 13);
  const DatasetOptions options{.format = "cityscapes", .root = tree.root};
  const auto dataset = OpenDataset(options).value();
  EXPECT_THAT(Names(*dataset),
              ElementsAre("leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png",
                          "leftImg8bit/train/bochum/bochum_000000_000313_leftImg8bit.png"));
  EXPECT_EQ(FirstPixel(*dataset, 0), 13);  // id 26 is car, trainId 13
  EXPECT_EQ(FirstPixel(*dataset, 1), 13);
  EXPECT_EQ(dataset->class_names()[13], "car");
  EXPECT_EQ(dataset->palette()[13], cv::Vec3b(142, 0, 0));
  for (const int ignored : {0, 4, 29, 255}) {
    tree.AddLabel("gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png", ignored);
    EXPECT_EQ(FirstPixel(*dataset, 0), 255) << ignored;
  }
  tree.AddLabel("gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png", 34);
  EXPECT_THAT(std::string(dataset->ReadLabel(0).status().message()),
              HasSubstr("label value 34 at row 0, column 0"));
  std::filesystem::remove(tree.root +
                          "/gtFine/train/bochum/bochum_000000_000313_gtFine_labelTrainIds.png");
  EXPECT_THAT(Refusal(options), HasSubstr("bochum_000000_000313_gtFine_labelIds.png"));
}

TEST(Layouts, VocReadsPalettesListsAndTheAugmentedLabels) {
  ScratchTree tree;
  for (const char* name : {"2007_000032", "2008_000008", "2009_000001"}) {
    tree.AddImage(std::string("JPEGImages/") + name + ".jpg", 4, 4);
  }
  cv::Mat indices(4, 4, CV_8UC1, cv::Scalar(15));
  indices.at<uint8_t>(0, 1) = 255;
  tree.AddText("SegmentationClass/2007_000032.png",
               EncodePalettePng(indices, VocClasses().palette).value());
  tree.AddLabel("SegmentationClassAug/2008_000008.png", 20, 4, 4);
  tree.AddText("ImageSets/Segmentation/train.txt", "2007_000032\n");
  tree.AddText("ImageSets/Segmentation/train_aug.txt",
               "/JPEGImages/2008_000008.jpg /SegmentationClassAug/2008_000008.png\r\n"
               "2007_000032\n\n");
  DatasetOptions options{.format = "voc", .root = tree.root, .split = "train_aug"};
  const auto dataset = OpenDataset(options).value();
  EXPECT_THAT(Names(*dataset),
              ElementsAre("JPEGImages/2007_000032.jpg", "JPEGImages/2008_000008.jpg"));
  const cv::Mat label = dataset->ReadLabel(0).value();
  EXPECT_EQ(label.at<uint8_t>(0, 0), 15);
  EXPECT_EQ(label.at<uint8_t>(0, 1), 255);
  EXPECT_EQ(FirstPixel(*dataset, 1), 20);
  EXPECT_THAT(CheckDataset(*dataset).problems, ElementsAre());
  for (size_t i = 0; i < dataset->palette().size(); ++i) {
    EXPECT_EQ(dataset->palette()[i], VocColour(static_cast<int>(i))) << i;
  }
  options.split = "train";
  EXPECT_EQ(OpenDataset(options).value()->samples().size(), 1);
  options.split = "val";
  EXPECT_THAT(Refusal(options), HasSubstr("ImageSets/Segmentation/val.txt does not exist"));
}

TEST(Layouts, Ade20kIgnoresZero) {
  ScratchTree tree;
  tree.AddImage("images/validation/ADE_val_00000001.jpg");
  tree.AddLabel("annotations/validation/ADE_val_00000001.png", 150);
  const auto dataset = OpenDataset({.format = "ade20k", .root = tree.root, .split = "val"}).value();
  EXPECT_EQ(FirstPixel(*dataset, 0), 149);
  EXPECT_EQ(dataset->class_names().size(), 150);
  EXPECT_EQ(dataset->palette()[0], cv::Vec3b(120, 120, 120));
  tree.AddLabel("annotations/validation/ADE_val_00000001.png", 0);
  EXPECT_EQ(FirstPixel(*dataset, 0), 255);
  tree.AddLabel("annotations/validation/ADE_val_00000001.png", 151);
  EXPECT_THAT(CheckDataset(*dataset).problems, ElementsAre(HasSubstr("label value 151")));
}

TEST(Layouts, CocoStuffMapsItsIdsToThe171Used) {
  ScratchTree tree;
  tree.AddImage("images/train2017/000000000009.jpg");
  const DatasetOptions options{.format = "coco_stuff", .root = tree.root};
  EXPECT_THAT(Refusal(options), HasSubstr("annotations/train2017 does not exist"));
  tree.AddLabel("stuffthingmaps/train2017/000000000009.png", 181);
  const auto dataset = OpenDataset(options).value();
  EXPECT_EQ(FirstPixel(*dataset, 0), 170);
  EXPECT_EQ(dataset->class_names()[170], "wood");
  const auto value = [&](int raw) {
    tree.AddLabel("stuffthingmaps/train2017/000000000009.png", raw);
    return FirstPixel(*dataset, 0);
  };
  EXPECT_EQ(value(0), 0);    // person
  EXPECT_EQ(value(12), 11);  // id 13, stop sign, after the missing 12
  EXPECT_EQ(dataset->class_names()[11], "stop sign");
  EXPECT_EQ(value(91), 80);  // id 92, banner, the first stuff
  EXPECT_EQ(dataset->class_names()[80], "banner");
  EXPECT_EQ(value(255), 255);
  tree.AddLabel("stuffthingmaps/train2017/000000000009.png", 11);  // id 12 does not exist
  EXPECT_TRUE(absl::IsInvalidArgument(dataset->ReadLabel(0).status()));
  tree.AddLabel("annotations/train2017/000000000009_labelTrainIds.png", 170);
  EXPECT_EQ(FirstPixel(*OpenDataset(options).value(), 0), 170);
}

class FoldersTest : public testing::Test {
 protected:
  FoldersTest() {
    tree_.AddImage("pictures/train/day/a.jpg");
    tree_.AddLabel("masks/train/day/a.png", 1);
    tree_.AddImage("pictures/val/b.png");
    tree_.AddLabel("masks/val/b.png", 255);
    options_ = {.format = "folders",
                .images = tree_.root + "/pictures",
                .labels = tree_.root + "/masks",
                .classes = {"road", "car"}};
  }
  ScratchTree tree_{"folders"};
  DatasetOptions options_;
};

TEST_F(FoldersTest, SplitsAreFolders) {
  const auto train = OpenDataset(options_).value();
  EXPECT_THAT(Names(*train), ElementsAre("pictures/train/day/a.jpg"));
  EXPECT_EQ(FirstPixel(*train, 0), 1);
  EXPECT_EQ(train->class_names()[1], "car");
  EXPECT_EQ(DataRoot(options_), tree_.root);
  options_.split = "val";
  EXPECT_EQ(FirstPixel(*OpenDataset(options_).value(), 0), 255);
  options_.split = "test";
  EXPECT_THAT(Refusal(options_), HasSubstr("pictures/test does not exist"));
}

TEST_F(FoldersTest, ValuesAreMappedAlsoOf16Bits) {
  options_.label_map = {{700, 0}, {40000, 1}, {9, 65000}};
  options_.ignore = 65000;
  const auto dataset = OpenDataset(options_).value();
  for (const auto& [raw, index] :
       std::map<int, int>{{700, 0}, {40000, 1}, {9, 255}, {65000, 255}}) {
    tree_.AddLabel("masks/train/day/a.png", raw, 24, 32, CV_16UC1);
    EXPECT_EQ(FirstPixel(*dataset, 0), index) << raw;
  }
  tree_.AddLabel("masks/train/day/a.png", 701, 24, 32, CV_16UC1);
  EXPECT_THAT(CheckDataset(*dataset).problems,
              ElementsAre(HasSubstr("label value 701 at row 0, column 0 (768 pixels")));
}

TEST_F(FoldersTest, ListsNameTheImagesOfASplit) {
  tree_.AddText("train.txt", "train/day/a\nval/b.png\n");
  options_.splits = {{"train", tree_.root + "/train.txt"}};
  const auto dataset = OpenDataset(options_).value();
  EXPECT_THAT(Names(*dataset), ElementsAre("pictures/train/day/a.jpg", "pictures/val/b.png"));
  tree_.AddText("train.txt", "train/day/a\nnone\n../../etc/passwd\ntrain/day/a\n");
  std::vector<std::string> problems;
  EXPECT_EQ(OpenDataset(options_, &problems).value()->samples().size(), 1);
  EXPECT_THAT(problems, ElementsAre(HasSubstr("`none` has no image"),
                                    HasSubstr("leaves the folder"), HasSubstr("twice")));
  EXPECT_THAT(Refusal(options_), HasSubstr("and 2 more"));
  options_.split = "val";
  EXPECT_THAT(Refusal(options_), HasSubstr("there is no split `val`"));
}

TEST_F(FoldersTest, UnlabelledImagesAreIgnoredEverywhere) {
  tree_.AddImage("extra/deep/c.jpg", 8, 8);
  options_.unlabelled = tree_.root + "/extra";
  EXPECT_EQ(OpenDataset(options_).value()->samples().size(), 1);
  options_.with_unlabelled = true;
  const auto dataset = OpenDataset(options_).value();
  EXPECT_THAT(Names(*dataset), ElementsAre("extra/deep/c.jpg", "pictures/train/day/a.jpg"));
  const auto sample = ReadLabelledImage(*dataset, 0).value();
  EXPECT_EQ(sample.label.size(), cv::Size(8, 8));
  EXPECT_EQ(cv::countNonZero(sample.label != 255), 0);
}

TEST_F(FoldersTest, WrongOptionsAreNamed) {
  EXPECT_THAT(Refusal({.format = "folders", .classes = {"a"}}), HasSubstr("images and labels"));
  options_.label_map = {{7, 2}};
  EXPECT_THAT(Refusal(options_), HasSubstr("data.label_map.7: 2"));
  options_.label_map = {};
  options_.classes = {};
  EXPECT_THAT(Refusal(options_), HasSubstr("data.classes"));
}

TEST_F(FoldersTest, ARootHoldsImagesAndLabels) {
  ScratchTree tree("folders_root");
  tree.AddImage("images/train/a.jpg");
  tree.AddLabel("labels/train/a.png", 0);
  const DatasetOptions options{.format = "folders", .root = tree.root, .classes = {"all"}};
  EXPECT_EQ(FirstPixel(*OpenDataset(options).value(), 0), 0);
}

TEST(Layouts, PredictingNeedsNoLabels) {
  ScratchTree tree;
  tree.AddImage("JPEGImages/a.jpg");
  tree.AddText("ImageSets/Segmentation/test.txt", "a\n");
  const DatasetOptions options{
      .format = "voc", .root = tree.root, .split = "test", .without_labels = true};
  const auto dataset = OpenDataset(options).value();
  EXPECT_TRUE(dataset->ReadLabel(0)->empty());
  EXPECT_EQ(ReadLabelledImage(*dataset, 0)->label.at<uint8_t>(0, 0), 255);
}

TEST(PalettePng, IndicesOfFewerBitsAreNotStretched) {
  // 3x1 pixels of 2 bits, indices 0, 3, 1; with a palette and a transparent entry.
  const unsigned char bytes[] = {
      0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44,
      0x52, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03, 0x00, 0x00, 0x00, 0x66,
      0x8e, 0xfc, 0x27, 0x00, 0x00, 0x00, 0x0c, 0x50, 0x4c, 0x54, 0x45, 0x00, 0x01, 0x02, 0x03,
      0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0xdc, 0x4c, 0x38, 0x9c, 0x00, 0x00, 0x00,
      0x01, 0x74, 0x52, 0x4e, 0x53, 0x00, 0x40, 0xe6, 0xd8, 0x66, 0x00, 0x00, 0x00, 0x0a, 0x49,
      0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0x30, 0x01, 0x00, 0x00, 0x36, 0x00, 0x35, 0xa2, 0xf0,
      0x27, 0x9a, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
  const std::string png(reinterpret_cast<const char*>(bytes), sizeof(bytes));
  const cv::Mat label = DecodeLabel(png).value();
  EXPECT_THAT(std::vector<uint8_t>(label.begin<uint8_t>(), label.end<uint8_t>()),
              ElementsAre(0, 3, 1));
  EXPECT_TRUE(absl::IsDataLoss(DecodeLabel(png.substr(0, png.size() - 20)).status()));
}

}  // namespace
}  // namespace reflux
