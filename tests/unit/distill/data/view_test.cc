#include "distill/data/view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <opencv2/core.hpp>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

const ViewPolicy kPolicy{.replay = 4, .crop_height = 96, .crop_width = 128};

// Part of the cache key: a change here makes every stored target of every user unreachable.
TEST(DrawView, IsPinned) {
  const Digest sample = Sha256::Of("image");
  const View first = DrawView(kPolicy, 0, sample, 360, 480, 0);
  const View second = DrawView(kPolicy, 0, sample, 360, 480, 1);
  EXPECT_EQ(first, (View{.resized_height = 241,
                         .resized_width = 322,
                         .crop_y = 128,
                         .crop_x = 13,
                         .crop_height = 96,
                         .crop_width = 128,
                         .flip = false}));
  EXPECT_EQ(second, (View{.resized_height = 330,
                          .resized_width = 440,
                          .crop_y = 165,
                          .crop_x = 303,
                          .crop_height = 96,
                          .crop_width = 128,
                          .flip = false}));
}

TEST(DrawView, VariesWithEveryArgumentAndStaysInBounds) {
  const Digest sample = Sha256::Of("image");
  EXPECT_NE(DrawView(kPolicy, 0, sample, 360, 480, 0), DrawView(kPolicy, 1, sample, 360, 480, 0));
  EXPECT_NE(DrawView(kPolicy, 0, sample, 360, 480, 0),
            DrawView(kPolicy, 0, Sha256::Of("x"), 360, 480, 0));
  int flips = 0;
  for (int number = 0; number < 400; ++number) {
    const View view = DrawView(kPolicy, 0, sample, 100, 130, number);
    ASSERT_TRUE(view.Validate().ok());
    EXPECT_GE(view.resized_height, 50);
    EXPECT_LE(view.resized_height, 200);
    EXPECT_LE(view.crop_y, std::max(0, view.resized_height - 96));
    flips += view.flip;
  }
  EXPECT_NEAR(flips, 200, 50);
}

TEST(DrawView, ShrinksNoFurtherThanTheLargestViewAllows) {
  EXPECT_EQ(ShrinkFor(2), 1);
  EXPECT_EQ(ShrinkFor(0.51), 1);
  EXPECT_EQ(ShrinkFor(0.5), 2);
  EXPECT_EQ(ShrinkFor(0.25), 4);
  EXPECT_EQ(ShrinkFor(0.01), 8);
  ViewPolicy policy = kPolicy;
  policy.min_scale = 0.3;
  policy.max_scale = policy.min_scale + 0.2;
  const View whole = DrawView(policy, 0, Sha256::Of("image"), 360, 480, 0);
  policy.decode_shrink = 2;
  EXPECT_TRUE(policy.Validate().ok());
  View shrunk = DrawView(policy, 0, Sha256::Of("image"), 360, 480, 0);
  EXPECT_EQ(shrunk.decode_shrink, 2);
  shrunk.decode_shrink = 1;
  EXPECT_EQ(shrunk, whole) << "nothing else depends on it";
  policy.decode_shrink = 4;
  EXPECT_FALSE(policy.Validate().ok());
}

TEST(DrawView, PaddingLetsTheCropBeginOutside) {
  const ViewPolicy policy{.replay = 0,
                          .crop_height = 32,
                          .crop_width = 32,
                          .min_scale = 1,
                          .max_scale = 1,
                          .padding = 4};
  std::set<int32_t> rows, columns;
  for (int number = 0; number < 400; ++number) {
    const View view = DrawView(policy, 0, Sha256::Of("image"), 32, 32, number);
    ASSERT_TRUE(view.Validate().ok());
    rows.insert(view.crop_y);
    columns.insert(view.crop_x);
  }
  EXPECT_EQ(rows, (std::set<int32_t>{-4, -3, -2, -1, 0, 1, 2, 3, 4}));
  EXPECT_EQ(columns, rows);
  const ViewPolicy wide{.crop_height = 32, .crop_width = 32, .padding = 32};
  EXPECT_FALSE(wide.Validate().ok());
}

TEST(ParseViewPolicy, ReadsWhatIsAvailable) {
  ViewPolicy policy;
  EXPECT_TRUE(ParseViewPolicy("replay: 50", &policy).ok());
  EXPECT_EQ(policy.replay, 50);
  EXPECT_TRUE(ParseViewPolicy("live", &policy).ok());
  EXPECT_EQ(policy.replay, 0);
  EXPECT_FALSE(policy.whole);
  EXPECT_TRUE(ParseViewPolicy("whole: 96x128", &policy).ok());
  EXPECT_TRUE(policy.whole);
  EXPECT_EQ(policy.replay, 0);
  EXPECT_EQ(WholeViewOf(policy, 360, 480), WholeView(96, 128));
  EXPECT_TRUE(ParseViewPolicy("whole", &policy).ok());
  EXPECT_EQ(WholeViewOf(policy, 360, 480), WholeView(360, 480));
  EXPECT_TRUE(ParseViewPolicy("auto", &policy).ok());
  EXPECT_TRUE(policy.automatic);
  EXPECT_FALSE(policy.whole);
  EXPECT_TRUE(absl::IsInvalidArgument(ParseViewPolicy("replay: 0", &policy)));
  EXPECT_TRUE(ParseViewPolicy(absl::StrCat("replay: ", kMaxReplayedViews), &policy).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(
      ParseViewPolicy(absl::StrCat("replay: ", kMaxReplayedViews + 1), &policy)));
  EXPECT_TRUE(absl::IsInvalidArgument(ParseViewPolicy("often", &policy)));
}

// What teachers are shown, hence part of what every stored target means: a change of these pixels
// calls for a higher Numerics::kInferenceRevision.
TEST(ApplyView, PixelsArePinned) {
  cv::Mat image(37, 53, CV_8UC3);
  for (int y = 0; y < image.rows; ++y) {
    for (int x = 0; x < image.cols; ++x) {
      image.at<cv::Vec3b>(y, x) = cv::Vec3b(y * x % 256, 7 * x % 256, (91 * y + x * x) % 256);
    }
  }
  const View view{.resized_height = 61,
                  .resized_width = 40,
                  .crop_y = 9,
                  .crop_x = 3,
                  .crop_height = 48,
                  .crop_width = 40,
                  .flip = true};
  std::vector<float> out(3 * 48 * 40);
  ApplyView(image, view, {}, out.data());
  const absl::string_view bytes(reinterpret_cast<const char*>(out.data()), 4 * out.size());
  EXPECT_EQ(Sha256::Of(bytes).Short(), "eb69b4f0");
}

TEST(ApplyView, NearestLabelsSitWhereBilinearPixelsDo) {
  cv::Mat label(3, 6, CV_8UC1);
  for (int i = 0; i < 18; ++i) label.data[i] = i;
  std::vector<int64_t> out(2);
  ApplyViewToLabel(label, WholeView(1, 2), 11, out.data());
  EXPECT_EQ(out, (std::vector<int64_t>{7, 10}));  // the middles of the two 3x3 blocks
}

TEST(MarkPadding, MarksWhatLabelsIgnore) {
  const cv::Mat label = cv::Mat::zeros(10, 12, CV_8UC1);
  for (const View& view : {View{10, 12, 0, 0, 16, 20, false}, View{10, 12, 3, 5, 16, 20, true},
                           View{20, 24, 3, 5, 12, 16, true}, View{10, 12, -3, -2, 12, 13, false},
                           View{10, 12, -3, -2, 16, 20, true}}) {
    std::vector<int64_t> classes(view.crop_height * view.crop_width);
    std::vector<uint8_t> padding(classes.size());
    ApplyViewToLabel(label, view, 11, classes.data());
    MarkPadding(view, padding.data());
    bool any = false;
    for (size_t i = 0; i < classes.size(); ++i) {
      EXPECT_EQ(padding[i] != 0, classes[i] == 11) << i;
      any = any || padding[i] != 0;
    }
    EXPECT_EQ(any, HasPadding(view));
  }
}

class ApplyViewTest : public testing::Test {
 protected:
  // 2 rows of 3 pixels, blue = 10 * row + column.
  const cv::Mat image_ = [] {
    cv::Mat image(2, 3, CV_8UC3);
    for (int y = 0; y < 2; ++y) {
      for (int x = 0; x < 3; ++x) image.at<cv::Vec3b>(y, x) = cv::Vec3b(10 * y + x, 100, 200);
    }
    return image;
  }();
  const Preprocessing raw_{.bgr = true, .divisor = 1, .mean = {0, 0, 0}, .deviation = {1, 1, 1}};
};

TEST_F(ApplyViewTest, PadsAboveAndToTheLeft) {
  View view{.resized_height = 2,
            .resized_width = 3,
            .crop_y = -1,
            .crop_x = -2,
            .crop_height = 2,
            .crop_width = 4};
  std::vector<float> out(3 * 2 * 4, -1);
  ApplyView(image_, view, raw_, out.data());
  EXPECT_EQ(std::vector<float>(out.begin(), out.begin() + 8),
            (std::vector<float>{0, 0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(std::vector<float>(out.begin() + 8, out.begin() + 16),
            (std::vector<float>{0, 0, 0, 0, 0, 0, 100, 100}));
  cv::Mat label(2, 3, CV_8UC1);
  for (int i = 0; i < 6; ++i) label.data[i] = i;
  std::vector<int64_t> classes(8);
  ApplyViewToLabel(label, view, 11, classes.data());
  EXPECT_EQ(classes, (std::vector<int64_t>{11, 11, 11, 11, 11, 11, 0, 1}));
  view.flip = true;
  ApplyView(image_, view, raw_, out.data());
  EXPECT_EQ(std::vector<float>(out.begin() + 8, out.begin() + 16),
            (std::vector<float>{0, 0, 0, 0, 100, 100, 0, 0}));
  ApplyViewToLabel(label, view, 11, classes.data());
  EXPECT_EQ(classes, (std::vector<int64_t>{11, 11, 11, 11, 1, 0, 11, 11}));
}

TEST_F(ApplyViewTest, CropsFlipsAndPadsWithTheMean) {
  const View view{.resized_height = 2,
                  .resized_width = 3,
                  .crop_y = 1,
                  .crop_x = 1,
                  .crop_height = 2,
                  .crop_width = 3,
                  .flip = true};
  std::vector<float> out(3 * 2 * 3, -1);
  ApplyView(image_, view, raw_, out.data());
  // The crop holds columns 1 and 2 of row 1; mirrored, padding is first.
  EXPECT_EQ(std::vector<float>(out.begin(), out.begin() + 6),
            (std::vector<float>{0, 12, 11, 0, 0, 0}));
}

TEST_F(ApplyViewTest, OrdersAndNormalisesChannels) {
  const View view = WholeView(2, 3);
  std::vector<float> out(3 * 2 * 3);
  ApplyView(image_, view, {.bgr = false, .divisor = 100, .mean = {1, 0, 0}, .deviation = {2, 1, 1}},
            out.data());
  EXPECT_FLOAT_EQ(out[0], 0.5F);        // red 200
  EXPECT_FLOAT_EQ(out[6], 1.0F);        // green 100
  EXPECT_FLOAT_EQ(out[12 + 5], 0.12F);  // blue 12
}

TEST_F(ApplyViewTest, TheLabelFollowsTheImage) {
  const cv::Mat label = (cv::Mat_<uint8_t>(2, 3) << 0, 1, 2, 3, 4, 5);
  const View view{.resized_height = 2,
                  .resized_width = 3,
                  .crop_y = 1,
                  .crop_x = 1,
                  .crop_height = 2,
                  .crop_width = 3,
                  .flip = true};
  std::vector<int64_t> out(6);
  ApplyViewToLabel(label, view, 11, out.data());
  EXPECT_EQ(out, (std::vector<int64_t>{11, 5, 4, 11, 11, 11}));
}

}  // namespace
}  // namespace reflux
