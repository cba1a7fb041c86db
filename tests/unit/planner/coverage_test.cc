#include "planner/coverage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cache/memory_target_store.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

// Two taps of one teacher over `samples` samples.
JobNeeds Needs(int samples, int specs = 2) {
  const TargetRequest request = FakeRequest(samples, specs);
  return {.teachers = {{.name = "default",
                        .info = {.identity = request.teacher, .model = "fake"},
                        .specs = request.specs}},
          .samples = request.samples,
          .dataset = "fake",
          .images = samples,
          .steps = 1};
}

void Store(MemoryTargetStore& store, const TargetRequest& request, size_t sample, size_t spec) {
  ASSERT_TRUE(store
                  .Put(KeyOf(request, sample, spec), SetOf(request, spec),
                       OriginOf(request, sample), FakeTarget(1))
                  .ok());
}

Coverage Measure(const JobNeeds& needs, MemoryTargetStore& store) {
  Inventories inventories;
  inventories[""] = MakeStoreInventory(store);
  return MeasureCoverage(PartsOf(needs), inventories).value();
}

TEST(CoverageTest, CountsEachTapOverMoreSamplesThanOneRequestHolds) {
  constexpr int kSamples = 2500;
  MemoryTargetStore store;
  const TargetRequest request = FakeRequest(kSamples, 2);
  for (const int sample : {0, 1023, 1024, 2499}) Store(store, request, sample, 1);
  Store(store, request, 7, 0);
  const Coverage coverage = Measure(Needs(kSamples), store);
  ASSERT_EQ(coverage.specs.size(), 2u);
  EXPECT_EQ(coverage.specs[0].held, 1);
  EXPECT_EQ(coverage.specs[1].held, 4);
  EXPECT_EQ(coverage.targets(), 5000);
  EXPECT_EQ(coverage.held(), 5);
  EXPECT_THAT(CoverageText(coverage, false), "5 of 5000 targets cached.\n");
  EXPECT_THAT(CoverageText(coverage, true),
              HasSubstr("  default aspp: 4 of 2500 targets cached. The rest of set "));
}

TEST(CoverageTest, NamesTheFieldThatDiffers) {
  MemoryTargetStore store;
  TargetRequest request = FakeRequest(3);
  request.teacher.preprocessing.mean = {0.1, 0.2, 0.3};
  Store(store, request, 0, 0);
  const Coverage coverage = Measure(Needs(3, 1), store);
  EXPECT_EQ(CoverageText(coverage, true), "0 of 3 targets cached. Nearest set fake/fake@" +
                                              request.teacher.digest.Short() +
                                              " differs in preprocessing.mean only.\n");
  const nlohmann::json json = nlohmann::json::parse(CoverageJson(coverage));
  EXPECT_EQ(json["held"], 0);
  EXPECT_EQ(json["targets"], 3);
  EXPECT_EQ(json["specs"][0]["nearest"]["differs"], nlohmann::json({"preprocessing.mean"}));
}

TEST(CoverageTest, TellsAnEmptyCacheOtherViewsAndAFullOne) {
  MemoryTargetStore store;
  const JobNeeds needs = Needs(2, 1);
  EXPECT_EQ(CoverageText(Measure(needs, store), true),
            "0 of 2 targets cached. The cache is empty.\n");
  const TargetRequest others = FakeRequest(1, 1, /*first=*/50);
  Store(store, others, 0, 0);
  EXPECT_THAT(CoverageText(Measure(needs, store), true),
              HasSubstr("holds 1 targets, all of other images or views"));
  const TargetRequest request = FakeRequest(2);
  Store(store, request, 0, 0);
  Store(store, request, 1, 0);
  EXPECT_EQ(CoverageText(Measure(needs, store), true), "2 of 2 targets cached.\n");
}

}  // namespace
}  // namespace reflux
