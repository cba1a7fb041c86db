#include "planner/needs_union.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cache/memory_target_store.h"
#include "distill/data/view.h"
#include "planner/coverage.h"
#include "planner/needs_cost.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

using ::testing::ElementsAre;

TargetSpec Tap(const std::string& tap, Reduction reduction = Reduction::kNone) {
  return {.tap = tap, .reduction = reduction};
}

JobNeeds Needs(std::vector<SampleRef> samples, const std::vector<TargetSpec>& specs,
               const std::string& teacher = "default", const std::string& identity = "teacher") {
  return {.teachers = {{.name = teacher,
                        .info = {.identity = FakeIdentity(identity), .model = "fake"},
                        .specs = specs}},
          .samples = std::move(samples),
          .dataset = "fake"};
}

std::vector<SampleRef> Samples(int count, int first = 0) {
  return FakeRequest(count, 1, first).samples;
}

std::vector<std::string> Taps(const NeedsPart& part) {
  std::vector<std::string> taps;
  for (const TargetSpec& spec : part.teacher.specs) taps.push_back(spec.name());
  return taps;
}

TEST(NeedsUnionTest, ThreeSeedsNeedOneTargetOfEachImageAndView) {
  NeedsUnion all;
  for (int seed = 0; seed < 3; ++seed) {
    std::vector<SampleRef> samples = Samples(10);
    std::rotate(samples.begin(), samples.begin() + 3 * seed, samples.end());
    all.Add(0, Needs(samples, {Tap("logits"), Tap("c4")}), {});
  }
  const std::vector<NeedsPart> parts = all.Parts();
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].targets(), 20);
  EXPECT_EQ(parts[0].samples[9].locator, FakeSample(9).locator) << "the order of the first seed";
}

TEST(NeedsUnionTest, OneForwardGivesWhatAllVariantsNeedOfASample) {
  NeedsUnion all;
  all.Add(0, Needs(Samples(4), {Tap("logits")}), {});
  all.Add(0, Needs(Samples(4, 2), {Tap("c4"), Tap("logits")}), {});
  const std::vector<NeedsPart> parts = all.Parts();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_THAT(Taps(parts[0]), ElementsAre("logits"));
  EXPECT_EQ(parts[0].samples.size(), 2u);
  EXPECT_THAT(Taps(parts[1]), ElementsAre("logits", "c4"));
  EXPECT_EQ(parts[1].samples.size(), 4u);
}

TEST(NeedsUnionTest, LabelsSplitOnlyWhatDependsOnThem) {
  const auto labelled = [](const std::string& label) {
    std::vector<SampleRef> samples = Samples(2);
    for (SampleRef& sample : samples) sample.label_digest = Sha256::Of(label);
    return samples;
  };
  const TargetSpec sums = Tap("aspp", Reduction::kClassSums);
  NeedsUnion all;
  all.Add(0, Needs(Samples(2), {Tap("logits")}), {});
  all.Add(0, Needs(labelled("a"), {sums, Tap("logits")}), {});
  all.Add(0, Needs(labelled("b"), {sums, Tap("logits")}), {});
  const std::vector<NeedsPart> parts = all.Parts();
  ASSERT_EQ(parts.size(), 2u);
  const NeedsPart& both = parts[0].teacher.specs.size() == 2 ? parts[0] : parts[1];
  const NeedsPart& other = parts[0].teacher.specs.size() == 2 ? parts[1] : parts[0];
  EXPECT_EQ(both.targets(), 4);
  EXPECT_EQ(both.samples[0].label_digest, Sha256::Of("a"));
  EXPECT_THAT(Taps(other), ElementsAre("aspp|class_sums"));
  EXPECT_EQ(other.samples[0].label_digest, Sha256::Of("b"));
}

TEST(NeedsUnionTest, TeachersServersAndPlacesAreKeptApart) {
  NeedsUnion all;
  all.Add(0, Needs(Samples(3), {Tap("logits")}, "a", "one"), {{"a", "host:1"}});
  all.Add(0, Needs(Samples(3), {Tap("logits")}, "b", "one"), {{"b", "host:2"}});
  all.Add(3, Needs(Samples(4), {Tap("logits")}, "c", "two"), {{"c", "host:1"}});
  all.Add(4, Needs(Samples(4), {Tap("logits")}, "d", "two"), {{"d", "host:1"}});
  const std::vector<NeedsPart> parts = all.Parts();
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].servers, "host:1");
  EXPECT_EQ(parts[1].teacher.name, "b");
  EXPECT_EQ(parts[2].place, 3u) << "who was first";
  EXPECT_EQ(parts[2].teacher.name, "c");
}

TEST(NeedsUnionTest, NoPartAsksForMoreSpecsThanARequestHolds) {
  std::vector<TargetSpec> specs;
  for (int i = 0; i < 20; ++i) specs.push_back(Tap("tap" + std::to_string(i)));
  const std::vector<NeedsPart> parts = PartsOf(Needs(Samples(2), specs));
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].targets() + parts[1].targets(), 40);
}

TEST(NeedsCostTest, SumsBytesAndTimeOfWhatIsMissing) {
  const std::vector<NeedsPart> parts = PartsOf(Needs(Samples(4), {Tap("logits"), Tap("c4")}));
  ViewCosts costs;
  const TeacherIdentity teacher = FakeIdentity();
  costs.AddBytes(teacher, Tap("logits"), parts[0].samples[0].view, 10);
  costs.AddBytes(teacher, Tap("c4"), parts[0].samples[0].view, 100);
  costs.AddSeconds(teacher, parts[0].samples[0].view, 2);
  Coverage coverage;
  coverage.parts = {{.held = 5, .held_of = {4, 1}, .missing_samples = 3}};
  const NeedsCost cost = CostOf(parts, coverage, costs, /*drive_write=*/0);
  EXPECT_EQ(cost.targets, 8);
  EXPECT_DOUBLE_EQ(cost.bytes, 440);
  EXPECT_DOUBLE_EQ(cost.missing_bytes, 300);
  EXPECT_DOUBLE_EQ(cost.fill_seconds, 6);
  EXPECT_DOUBLE_EQ(CostOf(parts, coverage, costs, 10).fill_seconds, 30) << "the drive is slower";
}

TEST(ViewCostsTest, GoesByTheSizeOfTheViewWhereItIsKnown) {
  ViewCosts costs, more;
  const TeacherIdentity teacher = FakeIdentity();
  costs.AddBytes(teacher, Tap("logits"), WholeView(10, 10), 100);
  more.AddBytes(teacher, Tap("logits"), WholeView(20, 20), 400);
  costs.Merge(more);
  EXPECT_EQ(costs.Bytes(teacher, Tap("logits"), WholeView(20, 20)), 400);
  EXPECT_EQ(costs.Bytes(teacher, Tap("logits"), WholeView(15, 15)), 250);
  EXPECT_EQ(costs.Bytes(teacher, Tap("c4"), WholeView(20, 20)), 0);
}

TEST(CoverageTest, OfSeveralTeachersIsToldForEachAndTogether) {
  const TargetRequest request = FakeRequest(3, 1);
  JobNeeds needs = Needs(request.samples, request.specs, "deep");
  needs.teachers.push_back({.name = "light",
                            .info = {.identity = FakeIdentity("other"), .model = "fake"},
                            .specs = request.specs});
  MemoryTargetStore first, second;
  ASSERT_TRUE(
      first.Put(KeyOf(request, 1), SetOf(request), OriginOf(request, 1), FakeTarget(1)).ok());
  Inventories inventories;
  inventories["one"] = MakeStoreInventory(first);
  inventories["two"] = MakeStoreInventory(second);
  const Coverage coverage =
      MeasureCoverage(PartsOf(needs, {{"deep", "one"}, {"light", "two"}}), inventories).value();
  EXPECT_EQ(CoverageText(coverage, false),
            "1 of 6 targets cached.\n  deep: 1 of 3 targets cached.\n"
            "  light: 0 of 3 targets cached.\n");
  EXPECT_THAT(CoverageText(coverage, true),
              testing::HasSubstr("  light logits: 0 of 3 targets cached. The cache is empty.\n"));
  EXPECT_EQ(coverage.parts[0].missing_samples + coverage.parts[1].missing_samples, 5);
  EXPECT_THAT(
      SweepCoverageText(coverage, {{"s-a", 6, 1}, {"s-baseline", 0, 0}}, false),
      testing::EndsWith("  s-a: 1 of 6 targets cached.\n  s-baseline: nothing to cache.\n"));
}

}  // namespace
}  // namespace reflux
