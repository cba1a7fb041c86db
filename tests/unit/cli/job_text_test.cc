#include "cli/job_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/table.h"
#include "tests/unit/cli/fake_servers.h"

namespace reflux {
namespace {

TEST(JobTextTest, ProgressNamesEachLossAndLeavesOutWhatIsUnknown) {
  v1::Job job = FakeJobService::Job(v1::JOB_STATE_RUNNING, 4);
  EXPECT_EQ(ProgressNote(job),
            "loss 1.5 (kd 0.25), mIoU 41.50 %, 3 images/s, wait for targets 12 ms");
  job.mutable_progress()->set_miou(-1);
  job.mutable_progress()->clear_losses();
  EXPECT_EQ(ProgressNote(job), "3 images/s, wait for targets 12 ms");
  EXPECT_EQ(ProgressNote(v1::Job()), "");
}

TEST(JobTextTest, WithoutATeacherNothingWaitsForTargets) {
  v1::Job job = FakeJobService::Job(v1::JOB_STATE_RUNNING, 4);
  job.mutable_spec()->mutable_losses()->clear_kd();
  EXPECT_EQ(ProgressNote(job), "loss 1.5 (kd 0.25), mIoU 41.50 %, 3 images/s");
}

TEST(JobTextTest, DescribeTellsAccuracyAndTheIouOfEachClass) {
  v1::Job job = FakeJobService::Job(v1::JOB_STATE_RUNNING, 4);
  job.mutable_progress()->set_pixel_accuracy(88.126);
  for (const double iou : {93.1, -1.0, 71.25}) job.mutable_progress()->add_class_iou(iou);
  const std::string text = DescribeText(job, absl::Now());
  EXPECT_THAT(text, testing::ContainsRegex("\npixel accuracy: +88.13 %\n"));
  EXPECT_THAT(text, testing::ContainsRegex("\nclass IoU, %: +0 93.10, 1 -, 2 71.25\n"));
  for (const char* name : {"road", "pole", "car"}) {
    job.mutable_spec()->mutable_data()->add_classes(name);
  }
  EXPECT_THAT(DescribeText(job, absl::Now()), testing::HasSubstr("road 93.10, pole -, car 71.25"));
  job.mutable_progress()->set_top1(70);
  EXPECT_THAT(DescribeText(job, absl::Now()), testing::Not(testing::HasSubstr("pixel accuracy")));
}

TEST(JobTextTest, StatesAndTimes) {
  EXPECT_EQ(StateName(v1::JOB_STATE_RESTARTING), "restarting");
  EXPECT_TRUE(IsFinalState(v1::JOB_STATE_CANCELLED));
  EXPECT_FALSE(IsFinalState(v1::JOB_STATE_CANCELLING));
  v1::Job job;
  EXPECT_EQ(RunSeconds(job, absl::FromUnixSeconds(50)), 0);
  job.set_started_unix_ms(10000);
  EXPECT_EQ(RunSeconds(job, absl::FromUnixSeconds(50)), 40);
  job.set_finished_unix_ms(30000);
  EXPECT_EQ(RunSeconds(job, absl::FromUnixSeconds(50)), 20);
}

TEST(JobTextTest, NewestJobsComeFirst) {
  v1::ListJobsResponse jobs;
  for (const auto& [id, time] : {std::pair{"old", 1}, std::pair{"new", 2}}) {
    jobs.add_jobs()->set_job_id(id);
    jobs.mutable_jobs(jobs.jobs_size() - 1)->set_submitted_unix_ms(time);
  }
  EXPECT_THAT(JobsTable(jobs, absl::Now()), testing::ContainsRegex("ID[^\n]*\nnew[^\n]*\nold"));
}

TEST(TableTest, AlignsColumnsAndScalesNumbers) {
  EXPECT_EQ(TableText({{"A", "B"}, {"long", "x"}}), "A     B\nlong  x\n");
  EXPECT_EQ(BytesText(512), "512 B");
  EXPECT_EQ(BytesText(1468006), "1.4 MiB");
  EXPECT_EQ(AgeText(90), "90 s");
  EXPECT_EQ(AgeText(3 * 86400), "3 d");
}

}  // namespace
}  // namespace reflux
