#include "cli/view_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reflux {
namespace {

TEST(ViewTextTest, ReadsWhatItWrites) {
  View view{.resized_height = 720,
            .resized_width = 960,
            .crop_y = 12,
            .crop_x = 40,
            .crop_height = 360,
            .crop_width = 480,
            .flip = true};
  EXPECT_EQ(ViewText(view), "720x960/360x480+12+40/flip");
  EXPECT_EQ(*ParseView(ViewText(view)), view);
  view.decode_shrink = 4;
  EXPECT_EQ(ViewText(view), "720x960/360x480+12+40/flip/shrink:4");
  EXPECT_EQ(*ParseView(ViewText(view)), view);
  EXPECT_EQ(ParseView("360x480/shrink:2")->decode_shrink, 2);
  EXPECT_EQ(ViewText(*ParseView("360x480")), "360x480/360x480+0+0");
  EXPECT_EQ(ViewText(*ParseView("360x480/flip")), "360x480/360x480+0+0/flip");
}

TEST(ViewTextTest, SaysWhatAViewLooksLike) {
  for (const std::string text :
       {"", "360", "360x", "360x480/1x1", "360x480/1x1+0", "ax480", "0x480", "360x99999999999",
        "360x480/10x10+-1+0", "360x480/10x10+360+0", "360x480/1x1+0+0/flop", "360x480/flip/flip",
        "360x480/shrink:3", "360x480/shrink:2/flip"}) {
    const auto view = ParseView(text);
    EXPECT_TRUE(absl::IsInvalidArgument(view.status())) << text;
    EXPECT_THAT(std::string(view.status().message()), testing::HasSubstr("/360x480+12+40/flip"));
  }
}

}  // namespace
}  // namespace reflux
