#include "cli/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/exit_codes.h"
#include "tests/unit/cli/fake_servers.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

const WatchOptions kEveryLine{absl::ZeroDuration(), 1, absl::ZeroDuration()};

TEST(WatchTest, PipeGetsPlainLinesAtEachChange) {
  FakeServers servers;
  v1::Job loading = FakeJobService::Job(v1::JOB_STATE_RUNNING);
  loading.mutable_progress()->set_phase("loading the teacher");
  servers.jobs.streams = {{{FakeJobService::Job(v1::JOB_STATE_STARTING), loading, loading,
                            FakeJobService::Job(v1::JOB_STATE_RUNNING, 10),
                            FakeJobService::Job(v1::JOB_STATE_RUNNING, 20),
                            FakeJobService::Job(v1::JOB_STATE_SUCCEEDED, 100)}}};
  Captured captured;
  EXPECT_EQ(Watch(captured.terminal, servers.address(), "job-1", kEveryLine), kExitDone);
  const std::string out = captured.out.str();
  EXPECT_THAT(out, testing::StartsWith("job-1 small: starting\njob-1 small: running\n"
                                       "loading the teacher\n"
                                       "training 10/100 steps, loss 1.5 (kd 0.25), mIoU 41.50 %"));
  EXPECT_THAT(out, testing::ContainsRegex("\ntraining 20/100 steps, [^\n]*steps/s, ETA "));
  EXPECT_THAT(out, HasSubstr("\njob-1 small: succeeded after 0:00, loss 1.5 (kd 0.25)"));
  EXPECT_EQ(out.find('\r'), std::string::npos);
}

TEST(WatchTest, TerminalGetsABar) {
  FakeServers servers;
  servers.jobs.streams = {{{FakeJobService::Job(v1::JOB_STATE_RUNNING, 50),
                            FakeJobService::Job(v1::JOB_STATE_SUCCEEDED, 100)}}};
  Captured captured;
  captured.terminal.interactive = true;
  EXPECT_EQ(Watch(captured.terminal, servers.address(), "job-1", kEveryLine), kExitDone);
  EXPECT_THAT(captured.out.str(), HasSubstr("\rtraining [############............] 50/100 steps"));
}

TEST(WatchTest, FailedJobsFailAndSayWhereToLook) {
  FakeServers servers;
  v1::Job failed = FakeJobService::Job(v1::JOB_STATE_FAILED);
  failed.set_message("worker/0 exited with 3");
  servers.jobs.streams = {{{failed}}};
  Captured captured;
  EXPECT_EQ(Watch(captured.terminal, servers.address(), "job-1", kEveryLine), kExitFailed);
  EXPECT_THAT(captured.out.str(), HasSubstr("failed, worker/0 exited with 3"));
  EXPECT_THAT(captured.err.str(), HasSubstr("reflux logs job-1"));
}

TEST(WatchTest, AnOrchestratorThatGoesAwayIsAskedAgain) {
  FakeServers servers;
  servers.jobs.streams = {{{FakeJobService::Job(v1::JOB_STATE_RUNNING, 10)},
                           {grpc::StatusCode::UNAVAILABLE, "stopping"}},
                          {{FakeJobService::Job(v1::JOB_STATE_SUCCEEDED, 100)}}};
  Captured captured;
  EXPECT_EQ(Watch(captured.terminal, servers.address(), "job-1", kEveryLine), kExitDone);
  EXPECT_THAT(captured.err.str(), HasSubstr("trying again"));
  EXPECT_THAT(captured.out.str(), HasSubstr("succeeded"));
}

TEST(WatchTest, UnknownJobsFailAtOnce) {
  FakeServers servers;
  Captured captured;
  EXPECT_EQ(Watch(captured.terminal, servers.address(), "job-1", kEveryLine), kExitFailed);
  EXPECT_EQ(captured.err.str(), "reflux: no such job\n");
}

TEST(WatchTest, InterruptLeavesTheJobRunningAndSaysSo) {
  FakeServers servers;
  Captured captured;
  servers.jobs.streams = {{{FakeJobService::Job(v1::JOB_STATE_RUNNING, 10)},
                           grpc::Status::CANCELLED,
                           [&](grpc::ServerContext&) { captured.terminal.interrupted->Cancel(); }}};
  EXPECT_EQ(Watch(captured.terminal, servers.address(), "job-1", kEveryLine), kExitStopped);
  EXPECT_THAT(captured.err.str(), HasSubstr("job job-1 goes on"));
  EXPECT_THAT(captured.err.str(), HasSubstr("reflux cancel job-1"));
  EXPECT_EQ(servers.jobs.cancelled, "");
}

}  // namespace
}  // namespace reflux
