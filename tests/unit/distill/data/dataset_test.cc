#include "distill/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <opencv2/core.hpp>

#include "common/base/file.h"
#include "distill/data/data_check.h"
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
  EXPECT_THAT(CheckDataset(*dataset).problems, ElementsAre());
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
  EXPECT_THAT(std::string(dataset.status().message()),
              HasSubstr("train/lonely.jpg has no label: add trainannot/lonely.png"));
}

TEST(Dataset, AnEmptySplitIsAnError) {
  ScratchCamVid scratch;
  EXPECT_TRUE(absl::IsNotFound(OpenDataset(Train(scratch)).status()));
}

TEST(Dataset, AnUnknownFormatNamesTheKnown) {
  const absl::Status status = OpenDataset({.format = "camvit"}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("camvid, cityscapes, voc"));
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
  const std::vector<std::string> problems = CheckDataset(*dataset).problems;
  ASSERT_EQ(problems.size(), 3);
  EXPECT_THAT(problems[0], HasSubstr("range.png: label value 12 at row 0, column 0"));
  EXPECT_THAT(problems[1], HasSubstr("the image has 24x32 pixels, its label 20x32"));
  EXPECT_THAT(problems[2], HasSubstr("truncated.jpg: the image file is truncated"));
}

TEST(Dataset, AChangedImageIsToldBeforeItIsDecoded) {
  ScratchCamVid scratch;
  scratch.AddPair("a");
  const auto dataset = OpenDataset(Train(scratch)).value();
  const Digest digest = Sha256::Of(ReadLabelledImage(*dataset, 0)->bytes);
  EXPECT_TRUE(ReadLabelledImage(*dataset, 0, &digest).ok());
  scratch.Truncate("train/a.jpg", 400);
  const absl::Status changed = ReadLabelledImage(*dataset, 0, &digest).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(changed)) << changed;
  EXPECT_THAT(std::string(changed.message()), HasSubstr("train/a.jpg: the image has changed"));
}

TEST(Dataset, RefusesColourLabelsAndTruncatedOnes) {
  ScratchCamVid scratch;
  scratch.AddPair("colour");
  cv::imwrite(scratch.root + "/trainannot/colour.png", cv::Mat(24, 32, CV_8UC3, cv::Scalar(1)));
  scratch.AddPair("cut");
  scratch.Truncate("trainannot/cut.png", 60);
  const auto dataset = OpenDataset(Train(scratch)).value();
  const absl::Status colour = dataset->ReadLabel(0).status();
  EXPECT_TRUE(absl::IsInvalidArgument(colour));
  EXPECT_THAT(std::string(colour.message()),
              HasSubstr("colour.png: a label is an 8-bit or 16-bit"));
  const absl::Status cut = dataset->ReadLabel(1).status();
  EXPECT_TRUE(absl::IsDataLoss(cut));
  EXPECT_THAT(std::string(cut.message()), HasSubstr("cut.png: the image file is truncated"));
}

TEST(ReadImageFile, RefusesPathsThatLeaveTheRoot) {
  ScratchCamVid scratch;
  EXPECT_TRUE(
      absl::IsInvalidArgument(ReadImageFile(scratch.root, {"camvid", "../etc/passwd"}).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(ReadImageFile(scratch.root, {"camvid", "/etc/passwd"}).status()));
  const std::string with_nul("train/a\0.jpg", 12);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadImageFile(scratch.root, {"camvid", with_nul}).status()));
  EXPECT_TRUE(absl::IsNotFound(ReadImageFile(scratch.root, {"camvid", "train/none.jpg"}).status()));
}

TEST(DecodeImage, RefusesWhatIsNoImage) {
  EXPECT_TRUE(absl::IsDataLoss(DecodeImage("").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeImage("GIF89a").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeImage("\xff\xd8\xff garbage \xff\xd9").status()));
}

TEST(DecodeImage, ShrinksJpegsAsTheyAreDecoded) {
  cv::Mat smooth(41, 50, CV_8UC3);
  for (int y = 0; y < smooth.rows; ++y) {
    for (int x = 0; x < smooth.cols; ++x) smooth.at<cv::Vec3b>(y, x) = cv::Vec3b(3 * x, 4 * y, 90);
  }
  std::vector<uint8_t> jpeg, png;
  cv::imencode(".jpg", smooth, jpeg, {cv::IMWRITE_JPEG_QUALITY, 98});
  cv::imencode(".png", smooth, png);
  const std::string bytes(jpeg.begin(), jpeg.end());
  for (const int shrink : {2, 4, 8}) {
    const cv::Size size((50 + shrink - 1) / shrink, (41 + shrink - 1) / shrink);
    cv::Size encoded;
    const cv::Mat decoded = DecodeImage(bytes, shrink, &encoded).value();
    EXPECT_EQ(decoded.size(), size);
    EXPECT_EQ(encoded, smooth.size());
    // A pixel is the mean of shrink x shrink of the image.
    const cv::Mat block = smooth(cv::Rect(shrink, 2 * shrink, shrink, shrink));
    const cv::Vec3b pixel = decoded.at<cv::Vec3b>(2, 1);
    for (int c = 0; c < 3; ++c) EXPECT_NEAR(pixel[c], cv::mean(block)[c], 4) << shrink;
    EXPECT_EQ(DecodeImage(std::string(png.begin(), png.end()), shrink)->size(), smooth.size());
    EXPECT_TRUE(absl::IsDataLoss(DecodeImage(bytes.substr(0, bytes.size() / 2), shrink).status()));
  }
  EXPECT_EQ(ReadImageSize(bytes).value(), smooth.size());
}

TEST(DecodeImage, FindsTruncationAnywhere) {
  cv::Mat noise(40, 50, CV_8UC3);
  cv::randu(noise, 0, 255);
  for (const char* format : {".jpg", ".png"}) {
    std::vector<uint8_t> encoded;
    cv::imencode(format, noise, encoded);
    const std::string whole(encoded.begin(), encoded.end());
    EXPECT_EQ(DecodeImage(whole)->size(), noise.size());
    EXPECT_TRUE(DecodeImage(whole + "appended by a camera").ok());
    for (size_t size = 0; size < whole.size(); size += 7) {
      EXPECT_TRUE(absl::IsDataLoss(DecodeImage(whole.substr(0, size)).status())) << format << size;
    }
    EXPECT_TRUE(absl::IsDataLoss(
        DecodeImage(whole.substr(0, whole.size() / 2) + std::string(whole.size() / 2, '\0'))
            .status()));
  }
}

TEST(DecodeImage, BoundsTheSizeBeforeItDecodes) {
  std::vector<uint8_t> encoded;
  cv::imencode(".png", cv::Mat(1, 20000, CV_8UC1, cv::Scalar(0)), encoded);
  EXPECT_TRUE(
      absl::IsResourceExhausted(DecodeImage(std::string(encoded.begin(), encoded.end())).status()));
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
    // Another digest of the right form, as a flipped bit would leave.
    std::string content = ReadFile(file.path().string(), 1 << 20).value();
    content[content.size() - 2] = content[content.size() - 2] == 'a' ? 'b' : 'a';
    std::ofstream(file.path()) << content;
  }
  EXPECT_EQ(SampleDigests(*dataset, cache).value()[0], second);
  for (const auto& file : std::filesystem::directory_iterator(cache)) {
    std::ofstream(file.path()) << "nonsense\tline\n\t\t\t";
  }
  EXPECT_EQ(SampleDigests(*dataset, cache).value()[0], second);
}

TEST(Manifest, KnowsTheSizesOfImages) {
  ScratchCamVid scratch;
  scratch.AddPair("a");
  scratch.AddImage("train/a.jpg", 48, 64, 10);
  const std::string cache = scratch.root + "/manifest";
  const auto dataset = OpenDataset(Train(scratch)).value();
  for (int pass = 0; pass < 2; ++pass) {  // made, then read back
    const ImageFacts facts = ReadImageFacts(*dataset, cache).value()[0];
    EXPECT_EQ(facts.height, 48);
    EXPECT_EQ(facts.width, 64);
  }
  std::ofstream(scratch.root + "/train/a.jpg") << "no image";
  const ImageFacts broken = ReadImageFacts(*dataset, cache).value()[0];
  EXPECT_EQ(broken.digest, Sha256::Of("no image"));
  EXPECT_EQ(broken.height, 0);
}

TEST(Manifest, StopsWhenCancelled) {
  ScratchCamVid scratch;
  scratch.AddPair("a");
  const auto dataset = OpenDataset(Train(scratch)).value();
  Cancellation stop;
  EXPECT_TRUE(SampleDigests(*dataset, scratch.root + "/manifest", {.stop = &stop}).ok());
  stop.Cancel();
  EXPECT_TRUE(absl::IsCancelled(
      SampleDigests(*dataset, scratch.root + "/manifest", {.stop = &stop}).status()));
}

TEST(Manifest, TellsHowFarItIs) {
  ScratchCamVid scratch;
  for (const char* name : {"a", "b", "c"}) scratch.AddPair(name);
  const auto dataset = OpenDataset(Train(scratch)).value();
  for (int pass = 0; pass < 2; ++pass) {  // hashed, then known
    std::vector<std::pair<int64_t, int64_t>> told;
    const HashWatch watch{
        .on_done = [&](int64_t done, int64_t total) { told.emplace_back(done, total); }};
    ASSERT_TRUE(SampleDigests(*dataset, scratch.root + "/manifest", watch).ok());
    EXPECT_EQ(told, (std::vector<std::pair<int64_t, int64_t>>{{1, 3}, {2, 3}, {3, 3}}));
  }
}

TEST(Manifest, AFolderThatCannotBeWrittenCostsTimeOnly) {
  ScratchCamVid scratch;
  scratch.AddPair("a");
  const auto dataset = OpenDataset(Train(scratch)).value();
  EXPECT_EQ(SampleDigests(*dataset, "/proc/no-such-folder").value()[0],
            Sha256::Of(dataset->ReadImage(0).value()));
}

}  // namespace
}  // namespace reflux
