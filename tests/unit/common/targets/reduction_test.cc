#include "common/targets/reduction.h"

#include <gtest/gtest.h>

#include "common/targets/target.h"

namespace reflux {
namespace {

TEST(ReductionTest, NamesAndBytesAreStable) {
  EXPECT_EQ(static_cast<int>(ParseReduction("none").value()), 1);
  EXPECT_EQ(static_cast<int>(ParseReduction("class_sums").value()), 2);
  EXPECT_EQ(static_cast<int>(ParseReduction("max_pool:2").value()), 66);
  EXPECT_EQ(static_cast<int>(ParseReduction("max_pool:63").value()), 127);
  EXPECT_EQ(ParseReduction("max_pool:4").value(), MaxPool(4));
  for (const char* bad : {"", "sums", "max_pool", "max_pool:1", "max_pool:64", "max_pool:04"})
    EXPECT_TRUE(absl::IsInvalidArgument(ParseReduction(bad).status())) << bad;
}

TEST(ReductionTest, OnlyKnownBytesAreReductions) {
  int known = 0;
  for (int byte = -1; byte <= 256; ++byte) {
    if (!IsReduction(byte)) continue;
    ++known;
    const auto reduction = static_cast<Reduction>(byte);
    EXPECT_EQ(ParseReduction(Name(reduction)).value(), reduction);
  }
  EXPECT_EQ(known, 2 + 62);
}

TEST(ReductionTest, OnlyClassSumsReadLabels) {
  EXPECT_FALSE(ReadsLabels(Reduction::kNone));
  EXPECT_TRUE(ReadsLabels(Reduction::kClassSums));
  EXPECT_FALSE(ReadsLabels(MaxPool(4)));
}

TEST(TargetNameTest, GoesThereAndBack) {
  EXPECT_EQ(TargetName("aspp", Reduction::kNone), "aspp");
  EXPECT_EQ(TargetName("c4", MaxPool(4)), "c4|max_pool:4");
  const TargetSpec spec = ParseTargetName("head.aspp|class_sums").value();
  EXPECT_EQ(spec.tap, "head.aspp");
  EXPECT_EQ(spec.reduction, Reduction::kClassSums);
  EXPECT_EQ(spec.name(), "head.aspp|class_sums");
  EXPECT_EQ(ParseTargetName("aspp").value().reduction, Reduction::kNone);
  EXPECT_TRUE(absl::IsInvalidArgument(ParseTargetName("aspp|mean").status()));
}

TEST(TargetRequestTest, AReductionThatReadsLabelsNeedsTheirDigest) {
  TargetRequest request{.samples = {SampleRef{.view = {8, 8, 0, 0, 8, 8}}},
                        .specs = {{.tap = "aspp", .reduction = Reduction::kClassSums}}};
  EXPECT_TRUE(absl::IsInvalidArgument(request.Validate()));
  request.samples[0].label_digest.bytes[0] = 1;
  EXPECT_TRUE(request.Validate().ok());
}

}  // namespace
}  // namespace reflux
