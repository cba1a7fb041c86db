// The order of servers for a sample: the same for everybody, even, and stable.
#include "common/targets/rendezvous.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

constexpr int kSamples = 20000;

TargetKey Key(int number) { return {Sha256::Of(absl::StrCat("sample ", number))}; }

std::string First(int number, const std::vector<std::string>& names) {
  return names[RendezvousOrder(Key(number), names).front()];
}

TEST(Rendezvous, ScoresArePinned) {
  // Every client must come to these, in whatever language (docs/scale_out.md).
  EXPECT_EQ(RendezvousScore(TargetKey{}, ""), 0xA057271C9071C99Du);
  EXPECT_EQ(RendezvousScore(Key(1), "cache-a:7000"), 0x576C25D4E2ED7379u);
  EXPECT_EQ(RendezvousScore(Key(1), "cache-b:7000"), 0xFA7DED67977C9245u);
}

TEST(Rendezvous, TheOrderHoldsEveryServerOnceAndDoesNotDependOnTheList) {
  const std::vector<std::string> names = {"a", "b", "c", "d"}, shuffled = {"c", "a", "d", "b"};
  for (int i = 0; i < 100; ++i) {
    std::vector<std::string> one, other;
    for (size_t index : RendezvousOrder(Key(i), names)) one.push_back(names[index]);
    for (size_t index : RendezvousOrder(Key(i), shuffled)) other.push_back(shuffled[index]);
    EXPECT_EQ(one, other);
    EXPECT_THAT(one, testing::UnorderedElementsAreArray(names));
  }
}

TEST(Rendezvous, EveryServerGetsItsShare) {
  const std::vector<std::string> names = {"host-1:7000", "host-2:7000", "host-3:7000",
                                          "host-4:7000", "host-5:7000"};
  std::map<std::string, int> shares;
  for (int i = 0; i < kSamples; ++i) ++shares[First(i, names)];
  // 4000 expected, standard deviation 57.
  for (const std::string& name : names) EXPECT_NEAR(shares[name], kSamples / 5, 300) << name;
}

TEST(Rendezvous, AServerThatLeavesMovesItsOwnSamplesAndSpreadsThem) {
  const std::vector<std::string> before = {"a", "b", "c", "d"}, after = {"a", "b", "d"};
  std::map<std::string, int> heirs;
  for (int i = 0; i < kSamples; ++i) {
    const std::string was = First(i, before), is = First(i, after);
    if (was == "c") {
      ++heirs[is];
    } else {
      EXPECT_EQ(is, was);
    }
  }
  for (const std::string& name : after) EXPECT_NEAR(heirs[name], kSamples / 12, 200) << name;
}

TEST(Rendezvous, AServerThatJoinsTakesItsShareAndNothingElseMoves) {
  const std::vector<std::string> before = {"a", "b", "c"}, after = {"a", "b", "c", "d"};
  int moved = 0;
  for (int i = 0; i < kSamples; ++i) {
    const std::string was = First(i, before), is = First(i, after);
    if (was == is) continue;
    EXPECT_EQ(is, "d");
    ++moved;
  }
  EXPECT_NEAR(moved, kSamples / 4, 300);
}

TEST(Rendezvous, AllTapsOfAViewHaveOneKeyAndOtherViewsAnother) {
  const TeacherIdentity teacher{.digest = Sha256::Of("teacher")};
  SampleRef sample{
      .digest = Sha256::Of("image"),
      .view = {.resized_height = 8, .resized_width = 8, .crop_height = 8, .crop_width = 8},
      .locator = {"set", "a.png"}};
  const TargetKey key = PlacementKey(teacher, sample);
  sample.locator.path = "elsewhere/b.png";
  EXPECT_EQ(PlacementKey(teacher, sample), key);
  sample.view.flip = true;
  EXPECT_NE(PlacementKey(teacher, sample), key);
}

}  // namespace
}  // namespace reflux
