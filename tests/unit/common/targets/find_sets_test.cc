#include "common/targets/find_sets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reflux {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TargetSet Set(const std::string& teacher, const std::string& tap, bool tf32 = false) {
  TargetSet set{.dataset = "camvid", .model = "deeplabv3_resnet101"};
  set.teacher.digest = Sha256::Of(teacher);
  set.teacher.numerics.tf32 = tf32;
  set.spec = {.tap = tap, .codec = Codec::kFp16};
  return set;
}

class FindSetsTest : public testing::Test {
 protected:
  std::vector<size_t> Find(const std::string& name) {
    const auto places = FindSets(sets_, name);
    return places.ok() ? *places : std::vector<size_t>();
  }
  const std::vector<TargetSet> sets_ = {Set("a", "logits"), Set("a", "aspp"), Set("b", "logits"),
                                        Set("a", "logits", true)};
  const std::string a_ = Sha256::Of("a").Hex(), b_ = Sha256::Of("b").Hex();
};

TEST_F(FindSetsTest, TakesFullNamesTheirBeginningsAndShortForms) {
  EXPECT_EQ(FullName(sets_[0]), "camvid/deeplabv3_resnet101@" + a_.substr(0, 8) + "/logits/fp16");
  EXPECT_THAT(Find(FullName(sets_[1])), ElementsAre(1));
  EXPECT_THAT(Find("camvid/deeplabv3_resnet101@" + a_.substr(0, 8)), ElementsAre(0, 1, 3));
  EXPECT_THAT(Find("camvid/r101@" + b_.substr(0, 4)), ElementsAre(2));
  EXPECT_THAT(Find("camvid/r101@" + a_.substr(0, 4) + "/aspp"), ElementsAre(1));
  EXPECT_THAT(Find("camvid/r101/aspp/fp16"), ElementsAre(1));
  EXPECT_THAT(Find("camvid/r101"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Find("cam"), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(Find(MakeTargetSetId(sets_[3]).digest.Short()), ElementsAre(3));
}

TEST_F(FindSetsTest, SaysWhatThereIs) {
  for (const std::string name :
       {"", "city/r101", "camvid/r18", "camvid/r101/c4", "camvid/r101/aspp/int8"}) {
    const auto places = FindSets(sets_, name);
    EXPECT_TRUE(absl::IsNotFound(places.status())) << name;
    EXPECT_THAT(std::string(places.status().message()), HasSubstr(FullName(sets_[1]))) << name;
  }
  EXPECT_THAT(std::string(FindSets({}, "camvid").status().message()), HasSubstr("cache is empty"));
}

}  // namespace
}  // namespace reflux
