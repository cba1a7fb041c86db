#include "distill/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "distill/data/manifest.h"
#include "tests/unit/distill/data/scratch_camvid.h"

namespace reflux {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

DatasetOptions Train(const ScratchCamVid& scratch) { return {.root = scratch.root}; }

TEST(Dataset, ListsSamplesInOrderOfTheirNames) {
  ScratchCamVid scratch;
  for (const char* stem : {"b", "a", "c"}) scratch.AddPair(stem);
  const auto dataset = OpenDataset(Train(scratch)).value();
  ASSERT_EQ(dataset->samples().size(), 3);
  EXPECT_EQ(dataset->samples()[0].image.path, "train/a.jpg");
  EXPECT_EQ(dataset->class_names().size(), 11);
  EXPECT_EQ(dataset->ReadLabel(0)->at<uint8_t>(5, 5), 3);
  EXPECT_EQ(DecodeImage(dataset->ReadImage(0).value())->rows, 24);
  EXPECT_THAT(CheckDataset(*dataset), ElementsAre());
  DatasetOptions two = Train(scratch);
  two.max_images = 2;
  EXPECT_EQ(OpenDataset(two).value()->samples().size(), 2);
}

TEST(Dataset, AMissingFolderSaysWhichAndTheLayout) {
  const auto dataset = OpenDataset({.root = "/nonexistent/camvid"});
  EXPECT_TRUE(absl::IsNotFound(dataset.status()));
  EXPECT_THAT(std::string(dataset.status().message()),
              HasSubstr("/nonexistent/camvid does not exist"));
  EXPECT_THAT(std::string(dataset.status().message()), HasSubstr("trainannot"));
}

TEST(Dataset, AnImageWithoutLabelIsNamed) {
  ScratchCamVid scratch;
  scratch.AddImage("train/lonely.jpg");
  const auto dataset = OpenDataset(Train(scratch));
  EXPECT_THAT(std::string(dataset.status().message()), HasSubstr("train/lonely.jpg has no label"));
}

TEST(Dataset, AnEmptySplitIsAnError) {
  ScratchCamVid scratch;
  EXPECT_TRUE(absl::IsNotFound(OpenDataset(Train(scratch)).status()));
}

TEST(Dataset, UnknownFormatsAreToldFromPlannedOnes) {
  EXPECT_TRUE(absl::IsUnimplemented(OpenDataset({.format = "cityscapes"}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(OpenDataset({.format = "camvit"}).status()));
}

TEST(Dataset, ReportsEveryBrokenSampleInOnePass) {
  ScratchCamVid scratch;
  scratch.AddPair("good");
  scratch.AddPair("range");
  scratch.AddLabel("trainannot/range.png", 12);
  scratch.AddPair("size");
  scratch.AddLabel("trainannot/size.png", 3, 20, 32);
  scratch.AddPair("truncated");
  scratch.Truncate("train/truncated.jpg", 400);
  const auto dataset = OpenDataset(Train(scratch)).value();
  const std::vector<std::string> problems = CheckDataset(*dataset);
  ASSERT_EQ(problems.size(), 3);
  EXPECT_THAT(problems[0], HasSubstr("range.png: label value 12 at row 0, column 0"));
  EXPECT_THAT(problems[1], HasSubstr("the image has 24x32 pixels, its label 20x32"));
  EXPECT_THAT(problems[2], HasSubstr("truncated.jpg: the image file is truncated"));
}

TEST(ReadImageFile, RefusesPathsThatLeaveTheRoot) {
  ScratchCamVid scratch;
  EXPECT_TRUE(
      absl::IsInvalidArgument(ReadImageFile(scratch.root, {"camvid", "../etc/passwd"}).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(ReadImageFile(scratch.root, {"camvid", "/etc/passwd"}).status()));
  EXPECT_TRUE(absl::IsNotFound(ReadImageFile(scratch.root, {"camvid", "train/none.jpg"}).status()));
}

TEST(DecodeImage, RefusesWhatIsNoImage) {
  EXPECT_TRUE(absl::IsDataLoss(DecodeImage("").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeImage("GIF89a").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeImage("\xff\xd8\xff garbage \xff\xd9").status()));
}

TEST(Manifest, FollowsChangedFilesAndSurvivesDamage) {
  ScratchCamVid scratch;
  scratch.AddPair("a");
  const std::string cache = scratch.root + "/manifest";
  const auto dataset = OpenDataset(Train(scratch)).value();
  const Digest first = SampleDigests(*dataset, cache).value()[0];
  EXPECT_EQ(first, Sha256::Of(dataset->ReadImage(0).value()));
  EXPECT_EQ(SampleDigests(*dataset, cache).value()[0], first);
  scratch.AddImage("train/a.jpg", 48, 64, 10);
  const Digest second = SampleDigests(*dataset, cache).value()[0];
  EXPECT_NE(second, first);
  for (const auto& file : std::filesystem::directory_iterator(cache)) {
    std::ofstream(file.path()) << "reflux-manifest-1\nnonsense\tline\n\t\t\t";
  }
  EXPECT_EQ(SampleDigests(*dataset, cache).value()[0], second);
}

}  // namespace
}  // namespace reflux
