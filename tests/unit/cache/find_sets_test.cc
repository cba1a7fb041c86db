#include "cache/find_sets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace reflux {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

StoredSet Set(const std::string& tap, Codec codec = Codec::kFp16, int32_t threads = 1) {
  StoredSet set;
  set.set = {.dataset = "camvid",
             .teacher = {.digest = Sha256::Of("teacher")},
             .spec = {.tap = tap, .codec = codec},
             .model = "r101"};
  set.set.teacher.numerics.threads = threads;
  set.id = MakeTargetSetId(set.set);
  return set;
}

TEST(FindSetsTest, FindsByUniquePrefixOfNameOrId) {
  const std::vector<StoredSet> sets = {Set("aspp"), Set("logits")};
  EXPECT_EQ(FullName(sets[0].set), "camvid/r101@" + Sha256::Of("teacher").Short() + "/aspp/fp16");
  for (const StoredSet& set : sets) {
    const std::string name = FullName(set.set);
    EXPECT_EQ(FindSet(sets, name)->id, set.id);
    EXPECT_EQ(FindSet(sets, name.substr(0, name.size() - 6))->id, set.id);
    EXPECT_EQ(FindSet(sets, set.id.digest.Hex().substr(0, 12))->id, set.id);
  }
  EXPECT_THAT(*FindSets(sets, "camvid/r101"), SizeIs(2));
}

TEST(FindSetsTest, AmbiguityListsTheCandidates) {
  const std::vector<StoredSet> sets = {Set("aspp"), Set("logits"), Set("logits", Codec::kInt8)};
  const absl::Status status = FindSet(sets, "camvid/").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("3 target sets"));
  for (const StoredSet& set : sets) {
    EXPECT_THAT(std::string(status.message()), HasSubstr(FullName(set.set)));
  }
}

TEST(FindSetsTest, AWholeNameIsNotAmbiguousByLongerOnes) {
  const std::vector<StoredSet> sets = {Set("logits"), Set("logits", *ParseCodec("fp16+zstd"))};
  EXPECT_EQ(FindSet(sets, FullName(sets[0].set))->id, sets[0].id);
}

TEST(FindSetsTest, SetsOfOneNameAreToldApartByTheirIds) {
  const std::vector<StoredSet> sets = {Set("logits"), Set("logits", Codec::kFp16, 2)};
  const absl::Status status = FindSet(sets, FullName(sets[0].set)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(sets[1].id.digest.Short()));
  EXPECT_EQ(FindSet(sets, sets[1].id.digest.Short())->id, sets[1].id);
}

TEST(FindSetsTest, SaysWhatThereIsWhenNothingMatches) {
  const absl::Status status = FindSets({Set("aspp")}, "cam/").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("camvid/r101@"));
  EXPECT_TRUE(absl::IsNotFound(FindSets({Set("aspp")}, "").status()));
  EXPECT_THAT(std::string(FindSets(std::vector<StoredSet>(), "x").status().message()),
              HasSubstr("empty"));
}

}  // namespace
}  // namespace reflux
