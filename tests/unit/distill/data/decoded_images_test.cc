#include "distill/data/decoded_images.h"

#include <gtest/gtest.h>

#include "tests/unit/distill/data/scratch_camvid.h"

namespace reflux {
namespace {

constexpr int64_t kSampleBytes = 24 * 32 * 4;

class DecodedImagesTest : public testing::Test {
 protected:
  DecodedImagesTest() {
    for (const char* stem : {"a", "b", "c"}) scratch_.AddPair(stem);
    dataset_ = OpenDataset({.root = scratch_.root}).value();
    for (size_t i = 0; i < 3; ++i) digests_.push_back(Sha256::Of(dataset_->ReadImage(i).value()));
  }
  ScratchCamVid scratch_;
  std::unique_ptr<Dataset> dataset_;
  std::vector<Digest> digests_;
};

TEST_F(DecodedImagesTest, ManyViewsOfAnImageCostOneDecode) {
  DecodedImages images(*dataset_, 1 << 20);
  const auto first = images.Get(1, digests_[1]).value();
  EXPECT_EQ(first->image.size(), cv::Size(32, 24));
  EXPECT_EQ(first->label.at<uint8_t>(3, 3), 3);
  for (int view = 0; view < 5; ++view) EXPECT_EQ(images.Get(1, digests_[1]).value(), first);
  EXPECT_EQ(images.decoded(), 1);
  EXPECT_EQ(images.bytes(), kSampleBytes);
}

TEST_F(DecodedImagesTest, ShrunkImagesTakeLessAndKnowTheirSize) {
  DecodedImages images(*dataset_, 1 << 20, /*shrink=*/4);
  const auto read = images.Get(1, digests_[1]).value();
  EXPECT_EQ(read->image.size(), cv::Size(8, 6));
  EXPECT_EQ(read->size, cv::Size(32, 24));
  EXPECT_EQ(read->label.size(), read->size);
  EXPECT_EQ(images.bytes(), 6 * 8 * 3 + 24 * 32);
}

TEST_F(DecodedImagesTest, TheBudgetIsKeptAndNothingIsReplaced) {
  DecodedImages images(*dataset_, 2 * kSampleBytes);
  for (int epoch = 0; epoch < 3; ++epoch) {
    for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(images.Get(i, digests_[i]).ok());
  }
  EXPECT_EQ(images.bytes(), 2 * kSampleBytes);
  EXPECT_EQ(images.decoded(), 3 + 2);  // the third image each time
}

TEST_F(DecodedImagesTest, NoBudgetKeepsNothing) {
  DecodedImages images(*dataset_, 0);
  EXPECT_TRUE(images.Get(0, digests_[0]).ok());
  EXPECT_TRUE(images.Get(0, digests_[0]).ok());
  EXPECT_EQ(images.decoded(), 2);
}

TEST_F(DecodedImagesTest, AnotherImageThanExpectedIsRefused) {
  DecodedImages images(*dataset_, 1 << 20);
  EXPECT_TRUE(absl::IsFailedPrecondition(images.Get(0, Sha256::Of("other")).status()));
  EXPECT_EQ(images.bytes(), 0);
}

}  // namespace
}  // namespace reflux
