#include "distill/evaluation/inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reflux {
namespace {

using testing::ElementsAre;

// Two "logits": the image's first channel, and how many pixels the network was given.
absl::StatusOr<torch::Tensor> FirstChannel(const torch::Tensor& images) {
  const torch::Tensor first = images.slice(1, 0, 1);
  return torch::cat({first, torch::full_like(first, static_cast<double>(first.numel()))}, 1);
}

torch::Tensor Ramp(int64_t height, int64_t width) {
  return torch::arange(height * width, torch::kFloat32)
      .view({1, 1, height, width})
      .repeat({1, 3, 1, 1});
}

TEST(InferenceTest, WindowsCoverTheImageAndEndWithIt) {
  EXPECT_THAT(WindowStarts(10, 4, 3), ElementsAre(0, 3, 6));
  EXPECT_THAT(WindowStarts(11, 4, 3), ElementsAre(0, 3, 6, 7));
  EXPECT_THAT(WindowStarts(4, 4, 3), ElementsAre(0));
}

TEST(InferenceTest, PlainOptionsLeaveTheNetworkAlone) {
  const torch::Tensor image = Ramp(6, 6);
  const auto plain = WithInference(FirstChannel, {.scales = {1.0}});
  EXPECT_TRUE(plain(image)->equal(*FirstChannel(image)));
}

TEST(InferenceTest, SlidingAveragesWhereWindowsOverlap) {
  const torch::Tensor image = Ramp(10, 14);
  const auto slide = WithInference(FirstChannel, {.window_height = 4, .window_width = 8});
  const torch::Tensor scores = slide(image).value();
  // A network without context sees each pixel alike in every window.
  EXPECT_TRUE(scores.slice(1, 0, 1).allclose(image.slice(1, 0, 1)));
  EXPECT_TRUE(scores.slice(1, 1, 2).eq(32).all().item<bool>());
  // Windows larger than the image are cut to it.
  const auto large = WithInference(FirstChannel, {.window_height = 400, .window_width = 400});
  EXPECT_TRUE(large(image)->slice(1, 1, 2).eq(140).all().item<bool>());
}

TEST(InferenceTest, OverlapsAreMeansOfTheirWindows) {
  // The network answers with the window's first column, so that windows disagree.
  const auto first_column = [](const torch::Tensor& images) -> absl::StatusOr<torch::Tensor> {
    return images.slice(1, 0, 1).slice(3, 0, 1).expand_as(images.slice(1, 0, 1)).contiguous();
  };
  const torch::Tensor image =
      torch::arange(6, torch::kFloat32).view({1, 1, 1, 6}).expand({1, 3, 1, 6});
  const auto slide = WithInference(
      first_column, {.window_height = 1, .window_width = 4, .stride_height = 1, .stride_width = 2});
  EXPECT_TRUE(slide(image)->flatten().equal(torch::tensor({0.0F, 0.0F, 1.0F, 1.0F, 2.0F, 2.0F})));
}

TEST(InferenceTest, FlipMakesTheScoresSymmetric) {
  const auto columns = [](const torch::Tensor& images) -> absl::StatusOr<torch::Tensor> {
    // Prefers the first class on the left, whatever it sees.
    const torch::Tensor ramp =
        torch::linspace(1, -1, images.size(3)).expand({1, 1, images.size(2), images.size(3)});
    return torch::cat({ramp, -ramp}, 1);
  };
  const torch::Tensor scores = WithInference(columns, {.flip = true})(Ramp(4, 8)).value();
  EXPECT_TRUE(scores.allclose(torch::full_like(scores, 0.5)));
}

TEST(InferenceTest, ScalesAreSeenByTheNetworkAndAveraged) {
  std::vector<int64_t> widths;
  const auto spy = [&](const torch::Tensor& images) {
    widths.push_back(images.size(3));
    return FirstChannel(images);
  };
  const torch::Tensor scores =
      WithInference(spy, {.scales = {0.5, 1.0, 2.0}, .flip = true})(Ramp(16, 20)).value();
  EXPECT_THAT(widths, ElementsAre(10, 10, 20, 20, 40, 40));
  EXPECT_EQ(scores.sizes(), (std::vector<int64_t>{1, 2, 16, 20}));
  EXPECT_TRUE(scores.sum(1).allclose(torch::ones({1, 16, 20})));
}

TEST(InferenceTest, ErrorsOfTheNetworkComeThrough) {
  const auto broken = [](const torch::Tensor&) -> absl::StatusOr<torch::Tensor> {
    return absl::InternalError("broken");
  };
  EXPECT_EQ(WithInference(broken, {.flip = true})(Ramp(8, 8)).status(),
            absl::InternalError("broken"));
}

TEST(InferenceTest, WrongOptionsAreRefused) {
  EXPECT_TRUE(InferenceOptions{}.Validate().ok());
  const std::vector<InferenceOptions> wrong = {
      {.window_height = 8},
      {.stride_height = 3, .stride_width = 3},
      {.window_height = 8, .window_width = 8, .stride_height = 9},
      {.scales = {0.0}},
      {.scales = std::vector<double>(17, 1.0)}};
  for (const InferenceOptions& options : wrong) {
    EXPECT_TRUE(absl::IsInvalidArgument(options.Validate()));
  }
}

}  // namespace
}  // namespace reflux
