#include "distill/data/derived_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "distill/data/view.h"

namespace reflux {
namespace {

constexpr int kStride = 8;

// A map of one channel of an input of `height` x `width` pixels whose value at each position is
// `value` of the place of that position in the unit square (pixel centres).
std::vector<float> MapOf(int height, int width,
                         const std::function<double(double y, double x)>& value) {
  std::vector<float> map;
  for (int y = 0; y < height; y += kStride) {
    for (int x = 0; x < width; x += kStride)
      map.push_back(static_cast<float>(value((y + 0.5) / height, (x + 0.5) / width)));
  }
  return map;
}

int Positions(int pixels) { return (pixels - 1) / kStride + 1; }

struct Derived {
  std::vector<float> map;
  DerivedGrid grid;
};

Derived Derive(const std::vector<float>& whole, const View& whole_view, const View& view) {
  Derived result{.grid = DeriveGrid(view, whole_view, kStride)};
  result.map.resize(result.grid.rows.places.size() * result.grid.columns.places.size());
  const absl::Status status = DeriveMap(
      whole.data(), {1, Positions(whole_view.crop_height), Positions(whole_view.crop_width)},
      result.grid, result.map.data());
  EXPECT_TRUE(status.ok()) << status;
  return result;
}

TEST(DerivedMapTest, OfTheWholeViewIsTheSameToTheBit) {
  for (const int side : {96, 97, 100, 104}) {
    const View whole = WholeView(side, side + 17);
    const std::vector<float> map =
        MapOf(side, side + 17, [](double y, double x) { return std::sin(40 * y) + x; });
    EXPECT_EQ(Derive(map, whole, whole).map, map);
  }
}

TEST(DerivedMapTest, ACropOnTheGridMovesPositions) {
  const View whole = WholeView(96, 128);
  const std::vector<float> map =
      MapOf(96, 128, [](double y, double x) { return std::sin(40 * y) + std::cos(30 * x); });
  View view{96, 128, 16, 24, 41, 50, false};
  const Derived crop = Derive(map, whole, view);
  ASSERT_EQ(crop.grid.rows.places.size(), 6);
  ASSERT_EQ(crop.grid.columns.places.size(), 7);
  for (int y = 0; y < 6; ++y) {
    for (int x = 0; x < 7; ++x) EXPECT_EQ(crop.map[y * 7 + x], map[(y + 2) * 16 + x + 3]);
  }
}

TEST(DerivedMapTest, AFlipOfAlignedPositionsMirrorsThem) {
  // 97 pixels: the last position is the last pixel, so mirrored positions are positions.
  const View whole = WholeView(97, 97);
  const std::vector<float> map =
      MapOf(97, 97, [](double y, double x) { return std::sin(40 * y) + std::cos(30 * x); });
  View view = whole;
  view.flip = true;
  const Derived flipped = Derive(map, whole, view);
  for (int y = 0; y < 13; ++y) {
    for (int x = 0; x < 13; ++x) EXPECT_EQ(flipped.map[y * 13 + x], map[y * 13 + 12 - x]);
  }
}

// What a network that only sees places would say of the view: the derived map of a linear function
// must be that, wherever no clamping at the outermost positions comes in.
TEST(DerivedMapTest, AnyViewLandsWhereALiveMapsPositionsAre) {
  const auto value = [](double y, double x) { return 3 * y - 2 * x + 0.25; };
  const View whole = WholeView(120, 200);
  const std::vector<float> map = MapOf(120, 200, value);
  for (const View& view :
       {View{240, 400, 37, 91, 120, 160, false}, View{240, 400, 37, 91, 120, 160, true},
        View{84, 140, 5, 9, 60, 100, true}, View{131, 187, 11, 3, 99, 57, false}}) {
    const Derived derived = Derive(map, whole, view);
    const size_t width = derived.grid.columns.places.size();
    int compared = 0;
    for (size_t i = 0; i < derived.map.size(); ++i) {
      const int row = static_cast<int>(i / width) * kStride,
                column = static_cast<int>(i % width) * kStride;
      const int in_crop = view.flip ? view.crop_width - 1 - column : column;
      const double y = (view.crop_y + row + 0.5) / view.resized_height;
      const double x = (view.crop_x + in_crop + 0.5) / view.resized_width;
      const bool clamped = y * 120 < 0.5 || y * 120 > 112.5 || x * 200 < 0.5 || x * 200 > 192.5;
      if (clamped) continue;
      ++compared;
      EXPECT_NEAR(derived.map[i], value(y, x), 1e-5) << i;
    }
    EXPECT_GT(compared, static_cast<int>(derived.map.size()) / 2);
  }
}

TEST(DerivedMapTest, PaddingIsExcluded) {
  const View whole = WholeView(96, 128);
  const std::vector<float> map = MapOf(96, 128, [](double, double) { return 1; });
  // The image shrinks to 48x64; of the crop of 80x80 the rest is padding, left when mirrored.
  for (const bool flip : {false, true}) {
    const Derived derived = Derive(map, whole, {48, 64, 0, 0, 80, 80, flip});
    for (int y = 0; y < 10; ++y) {
      for (int x = 0; x < 10; ++x) {
        const int column = flip ? 79 - 8 * x : 8 * x;
        const bool inside = 8 * y < 48 && column < 64;
        EXPECT_EQ(derived.map[y * 10 + x], inside ? 1.0F : 0.0F) << y << " " << x;
        EXPECT_EQ(derived.grid.rows.places[y].inside && derived.grid.columns.places[x].inside,
                  inside);
      }
    }
  }
}

TEST(DerivedMapTest, PaddingMayComeFirst) {
  const View whole = WholeView(96, 128);
  const std::vector<float> map = MapOf(96, 128, [](double, double) { return 1; });
  const Derived derived = Derive(map, whole, {96, 128, -20, -9, 80, 80, false});
  for (int y = 0; y < 10; ++y) {
    for (int x = 0; x < 10; ++x)
      EXPECT_EQ(derived.map[y * 10 + x], 8 * y >= 20 && 8 * x >= 9 ? 1.0F : 0.0F) << y << " " << x;
  }
}

TEST(DerivedMapTest, AMapOfAnotherSizeIsRefused) {
  const View whole = WholeView(96, 128);
  const DerivedGrid grid = DeriveGrid(whole, whole, kStride);
  std::vector<float> map(13 * 16), out(12 * 16);
  EXPECT_TRUE(absl::IsInvalidArgument(DeriveMap(map.data(), {1, 13, 16}, grid, out.data())));
}

}  // namespace
}  // namespace reflux
