#include "planner/fill.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/caching_source.h"
#include "cache/memory_target_store.h"
#include "tests/contract/cache_fixtures.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

class FillTest : public testing::Test {
 protected:
  absl::StatusOr<FillReport> Run(int samples, const FillOptions& options = {}) {
    const TargetRequest request = FakeRequest(samples, 2);
    TeacherNeeds needs{.name = "default", .specs = request.specs};
    needs.info.identity = request.teacher;
    return Fill(needs, request.samples, *inventory_, source_->storing(), options);
  }

  MemoryTargetStore store_;
  FakeTeacher teacher_;
  std::unique_ptr<CachingSource> source_ = MakeCachingSource(store_, teacher_);
  std::unique_ptr<CacheInventory> inventory_ = MakeStoreInventory(store_);
};

TEST_F(FillTest, StoresWhatIsMissingAndNothingTwice) {
  CollectingSink sink;
  ASSERT_TRUE(source_->Fetch({}, FakeRequest(3, 1), sink).ok());  // logits of three samples
  std::vector<int64_t> seen;
  FillOptions options{.batch = 4, .requests = 3};
  options.on_progress = [&](int64_t held) { seen.push_back(held); };
  const auto report = Run(10, options);
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->targets, 20);
  EXPECT_EQ(report->held, 3);
  EXPECT_EQ(report->stored, 17);
  EXPECT_FALSE(report->stopped);
  EXPECT_EQ(teacher_.targets(), 20);
  EXPECT_EQ(store_.stats().entries, 20);
  EXPECT_EQ(seen.front(), 3);
  EXPECT_EQ(seen.back(), 20);
  const auto again = Run(10);
  EXPECT_EQ(again->held, 20);
  EXPECT_EQ(again->stored, 0);
  EXPECT_EQ(teacher_.targets(), 20);
}

TEST_F(FillTest, AsksInTheTeachersBatchesBelowStudents) {
  std::vector<Priority> priorities;
  Mutex mutex;
  teacher_.set_hook([&](const FetchContext& context, const SampleRef&, const TargetSpec&) {
    MutexLock lock(mutex);
    priorities.push_back(context.priority);
    return absl::OkStatus();
  });
  ASSERT_TRUE(Run(9).ok());
  EXPECT_EQ(teacher_.calls().size(), 3u) << "4, 4 and 1 samples";
  EXPECT_THAT(priorities, testing::Each(Priority::kPrefill));
}

TEST_F(FillTest, StopsAndGoesOn) {
  FillOptions options{.batch = 2, .requests = 1};
  options.stop = std::make_shared<Cancellation>();
  options.on_progress = [&](int64_t held) {
    if (held >= 8) options.stop->Cancel();
  };
  const auto stopped = Run(20, options);
  ASSERT_TRUE(stopped.ok()) << stopped.status();
  EXPECT_TRUE(stopped->stopped);
  EXPECT_EQ(stopped->stored, 8);
  const auto rest = Run(20);
  EXPECT_EQ(rest->held, 8);
  EXPECT_EQ(rest->stored, 32);
  EXPECT_EQ(teacher_.targets(), 40);
}

TEST_F(FillTest, EndsWithTheErrorOfATarget) {
  teacher_.set_hook([](const FetchContext&, const SampleRef& sample, const TargetSpec& spec) {
    return sample.locator.path == FakeSample(5).locator.path && spec.tap == "aspp"
               ? absl::InvalidArgumentError("a map with NaN")
               : absl::OkStatus();
  });
  const auto report = Run(8, {.batch = 1, .requests = 1});
  EXPECT_TRUE(absl::IsInvalidArgument(report.status()));
  EXPECT_THAT(std::string(report.status().message()),
              HasSubstr("target aspp of " + FakeSample(5).locator.path + ": a map with NaN"));
  EXPECT_EQ(teacher_.calls().size(), 6u) << "nothing is asked for after it";
}

TEST_F(FillTest, AFullCacheEndsIt) {
  MemoryTargetStore small(/*capacity_bytes=*/5 * 64);
  const auto source = MakeCachingSource(small, teacher_);
  const auto inventory = MakeStoreInventory(small);
  const TargetRequest request = FakeRequest(8, 1);
  TeacherNeeds needs{.specs = request.specs};
  needs.info.identity = request.teacher;
  const auto report =
      Fill(needs, request.samples, *inventory, source->storing(), {.batch = 1, .requests = 1});
  EXPECT_TRUE(absl::IsFailedPrecondition(report.status())) << report.status();
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("the cache is full"));
  EXPECT_EQ(small.stats().entries, 5);
}

}  // namespace
}  // namespace reflux
