#include "teacher_server/batch_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/rpc/status.h"
#include "tests/integration/targets/fake_source.h"

namespace reflux {
namespace {

using testing::HasSubstr;

// The queue keeps references: a request of a test lives as long as the test.
class BatchQueueTest : public testing::Test {
 protected:
  struct Held {
    FetchContext context;
    TargetRequest request;
  };
  std::shared_ptr<BatchQueue::Caller> Caller(int samples, Priority priority = Priority::kStudent,
                                             int side = 8) {
    Held& held = *held_.emplace_back(std::make_unique<Held>());
    held.context.priority = priority;
    held.request = MakeRequest(samples, {"a"});
    for (SampleRef& sample : held.request.samples) sample.view.crop_height = side;
    return std::make_shared<BatchQueue::Caller>(held.context, held.request);
  }
  absl::Status Admit(const std::shared_ptr<BatchQueue::Caller>& caller) {
    return queue_.Admit(caller, now_, left_);
  }
  // The batch as {priority, side of the crop} of each sample.
  static std::vector<std::pair<Priority, int>> Described(const BatchQueue::Next& next) {
    std::vector<std::pair<Priority, int>> samples;
    for (const BatchQueue::Item& item : next.batch) {
      samples.emplace_back(item.caller->context.priority, item.ref().view.crop_height);
    }
    return samples;
  }
  static std::vector<std::pair<Priority, int>> Of(int students, int prefill, int side = 8) {
    std::vector<std::pair<Priority, int>> samples(students, {Priority::kStudent, side});
    samples.insert(samples.end(), prefill, {Priority::kPrefill, side});
    return samples;
  }

  const absl::Duration now_ = absl::Hours(1);
  absl::Duration left_ = absl::InfiniteDuration();  // until the callers' deadlines
  const absl::Duration delay_ = absl::Milliseconds(5);
  BatchQueue queue_{{.max_batch = 4, .max_delay = delay_, .max_queue = 16}};
  std::vector<std::unique_ptr<Held>> held_;
};

TEST_F(BatchQueueTest, AFullBatchStartsAtOnceAndARestWaitsForCompany) {
  ASSERT_TRUE(Admit(Caller(6)).ok());
  EXPECT_EQ(Described(queue_.Take(now_)), Of(4, 0));
  const BatchQueue::Next early = queue_.Take(now_);
  EXPECT_TRUE(early.batch.empty());
  EXPECT_EQ(early.due, now_ + delay_);
  EXPECT_EQ(Described(queue_.Take(now_ + delay_)), Of(2, 0));
}

TEST_F(BatchQueueTest, AFullBucketDoesNotWaitForAnOlderOneThatIsNotFull) {
  ASSERT_TRUE(Admit(Caller(1, Priority::kStudent, 16)).ok());
  ASSERT_TRUE(Admit(Caller(4)).ok());
  EXPECT_EQ(Described(queue_.Take(now_)), Of(4, 0));
  EXPECT_EQ(Described(queue_.Take(now_ + delay_)), Of(1, 0, 16));
}

TEST_F(BatchQueueTest, AWaitingStudentGoesBeforePrefillWhichFillsItsBatchUp) {
  ASSERT_TRUE(Admit(Caller(4, Priority::kPrefill)).ok());
  ASSERT_TRUE(Admit(Caller(4, Priority::kPrefill, 16)).ok());
  ASSERT_TRUE(Admit(Caller(2)).ok());
  EXPECT_EQ(Described(queue_.Take(now_)), Of(2, 2));
  EXPECT_EQ(Described(queue_.Take(now_)), Of(0, 4, 16));
  ASSERT_TRUE(Admit(Caller(1, Priority::kStudent, 32)).ok());
  EXPECT_TRUE(queue_.Take(now_).batch.empty()) << "no forward begins that a student would wait for";
  EXPECT_EQ(Described(queue_.Take(now_ + delay_)), Of(1, 0, 32));
  EXPECT_EQ(Described(queue_.Take(now_ + delay_)), Of(0, 2));
}

TEST_F(BatchQueueTest, AStalledStudentIsPassedByPrefillToo) {
  const auto stalled = Caller(4);
  ASSERT_TRUE(Admit(stalled).ok());
  ASSERT_TRUE(Admit(Caller(4, Priority::kPrefill)).ok());
  stalled->stalled = true;
  EXPECT_EQ(Described(queue_.Take(now_)), Of(0, 4));
  stalled->stalled = false;
  EXPECT_EQ(Described(queue_.Take(now_)), Of(4, 0));
}

TEST_F(BatchQueueTest, PrefillLeavesHalfOfTheQueueToStudents) {
  ASSERT_TRUE(Admit(Caller(8, Priority::kPrefill)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Admit(Caller(1, Priority::kPrefill))));
  ASSERT_TRUE(Admit(Caller(16)).ok());
  queue_.Measured(absl::Seconds(2));
  const absl::Status full = Admit(Caller(5));
  EXPECT_TRUE(absl::IsResourceExhausted(full));
  EXPECT_FALSE(queue_.refused_late());
  EXPECT_EQ(RetryAfter(full), absl::Seconds(4)) << "two batches make room for five samples";
}

TEST_F(BatchQueueTest, ADeadlineThatCannotBeMetIsRefusedWithATimeToComeBack) {
  left_ = absl::Seconds(60);
  ASSERT_TRUE(Admit(Caller(8)).ok()) << "nothing is known of the rate yet";
  queue_.Measured(absl::Seconds(25));
  const absl::Status late = Admit(Caller(1));
  EXPECT_TRUE(absl::IsResourceExhausted(late)) << late;
  EXPECT_TRUE(queue_.refused_late());
  EXPECT_THAT(std::string(late.message()), HasSubstr("8 samples wait, 25s a batch of 4"));
  EXPECT_EQ(RetryAfter(late), absl::Seconds(50));
  EXPECT_TRUE(queue_.Take(now_).batch.size() == 4);
  EXPECT_TRUE(Admit(Caller(8)).ok()) << "its first images can be served in time";
}

TEST_F(BatchQueueTest, TheRateIsThatOfTheRecentBatches) {
  left_ = absl::Seconds(10);
  queue_.Measured(absl::Seconds(100));
  EXPECT_FALSE(Admit(Caller(1)).ok());
  for (int i = 0; i < 30; ++i) queue_.Measured(absl::Seconds(1));
  EXPECT_TRUE(Admit(Caller(1)).ok());
}

TEST_F(BatchQueueTest, WhatNobodyWaitsForIsTakenOut) {
  auto gone = Caller(3);
  held_.back()->context.cancellation = std::make_shared<Cancellation>();
  ASSERT_TRUE(Admit(gone).ok());
  ASSERT_TRUE(Admit(Caller(1)).ok());
  held_[0]->context.cancellation->Cancel();
  const BatchQueue::Next next = queue_.Take(now_ + delay_);
  EXPECT_EQ(next.expired.size(), 3u);
  EXPECT_EQ(next.batch.size(), 1u);
  EXPECT_EQ(queue_.size(), 0u);
}

}  // namespace
}  // namespace reflux
