#include "distill/models/bifpn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "distill/models/image_classifier.h"
#include "distill/models/self_teacher.h"

namespace reflux {
namespace {

using torch::Tensor;

constexpr int64_t kOdd = 13;  // a side that no level halves evenly

std::vector<Tensor> Maps(const std::vector<int64_t>& channels, const std::vector<int64_t>& sides) {
  std::vector<Tensor> maps;
  for (size_t i = 0; i < channels.size(); ++i) {
    maps.push_back(torch::randn({2, channels[i], sides[i], sides[i]}).requires_grad_());
  }
  return maps;
}

// Both kinds, with more than one layer (the published BiFPNc crashes then) and odd sides.
TEST(BifpnTest, RefinesEveryLevelWithAnyNumberOfLayers) {
  for (const bool one_width : {true, false}) {
    BifpnOptions options{.channels = {3, 4, 6}, .num_classes = 5, .repeat = 2};
    (one_width ? options.num_channels : options.width) = one_width ? 8 : 2;
    ASSERT_TRUE(options.Validate().ok()) << options.Validate();
    Bifpn bifpn(options);
    const std::vector<Tensor> maps = Maps(options.channels, {kOdd, 7, 4});
    const BifpnOutputs outputs = bifpn->forward(maps);
    for (size_t i = 0; i < maps.size(); ++i) {
      EXPECT_EQ(outputs.maps[i].sizes(),
                (std::vector<int64_t>{2, options.widths()[i], maps[i].size(2), maps[i].size(3)}));
      EXPECT_GE(outputs.maps[i].min().item<double>(), 0);
    }
    EXPECT_EQ(outputs.logits.sizes(), (std::vector<int64_t>{2, 5}));
    (outputs.logits.square().sum() + outputs.maps[0].square().sum()).backward();
    for (const auto& item : bifpn->named_parameters()) {
      EXPECT_TRUE(item.value().grad().defined()) << item.key();
    }
    EXPECT_LT(bifpn->forward(maps, /*before_relu=*/true).maps[2].min().item<double>(), 0);
  }
}

TEST(BifpnTest, OptionsAreChecked) {
  BifpnOptions options{.channels = {3, 4}, .num_classes = 5, .width = 2};
  EXPECT_TRUE(options.Validate().ok());
  options.num_channels = 8;
  EXPECT_THAT(std::string(options.Validate().message()), testing::HasSubstr("one of them"));
  options.num_channels = 0, options.channels = {3};
  EXPECT_FALSE(options.Validate().ok());
}

// The stages of a dilated network have the same size from the second on.
TEST(SelfTeacherTest, RefinesMapsOfAnySize) {
  const SelfTeacherOptions options{
      .channels = {4, 8, 8}, .num_classes = 3, .width = 8, .head_width = 10};
  ASSERT_TRUE(options.Validate().ok());
  SelfTeacher self_teacher(options);
  const std::vector<Tensor> maps = Maps(options.channels, {kOdd, 7, 7});
  const SelfTeacherOutputs outputs = self_teacher->forward(maps);
  for (size_t i = 0; i < maps.size(); ++i) {
    EXPECT_EQ(outputs.maps.maps[i].sizes(),
              (std::vector<int64_t>{2, 8, maps[i].size(2), maps[i].size(3)}));
    EXPECT_TRUE(outputs.maps.maps[i].equal(torch::relu(outputs.maps.before_relu[i])));
  }
  EXPECT_EQ(outputs.logits.sizes(), (std::vector<int64_t>{2, 3, kOdd, kOdd}));
  // Only the first map is of another width.
  EXPECT_TRUE(self_teacher->named_parameters().contains("lateral.0.0.weight"));
  EXPECT_FALSE(self_teacher->named_parameters().contains("lateral.1.0.weight"));
  EXPECT_TRUE(self_teacher->named_parameters().contains("layers.0.conv3dw.0.weight"));
  EXPECT_FALSE(self_teacher->named_parameters().contains("layers.1.conv3dw.0.weight"));
  EXPECT_EQ(self_teacher->final_norms().size(), 3u);
  EXPECT_THROW(self_teacher->forward({maps[0]}), c10::Error);
}

TEST(SelfTeacherTest, OptionsAreChecked) {
  SelfTeacherOptions options{.channels = {4}, .num_classes = 3};
  EXPECT_TRUE(options.Validate().ok());
  options.width = 5000;
  EXPECT_EQ(options.Validate().message(), "width: 5000 is not between 1 and 4096");
  options.width = 8, options.num_classes = 1;
  EXPECT_FALSE(options.Validate().ok());
}

TEST(ImageClassifierTest, UnknownArchitecturesAreRefused) {
  EXPECT_EQ(BuildImageClassifier({.architecture = "vgg"}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(BuildImageClassifier({.architecture = "wrn16x2", .num_classes = 1}).ok());
}

}  // namespace
}  // namespace reflux
