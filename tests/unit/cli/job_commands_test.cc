#include "cli/job_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/rpc/endpoints.h"
#include "tests/unit/cli/fake_servers.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

std::string JobFile() {
  const std::string path = absl::StrCat(testing::TempDir(), "job_commands_", getpid(), ".yaml");
  EXPECT_TRUE(WriteFileAtomically(path,
                                  "data: {format: camvid, root: d}\ntrain: {steps: 3}\n"
                                  "student: {model: deeplabv3_resnet18}\n")
                  .ok());
  return path;
}

TEST(SubmitTest, SendsTheResolvedJobAndPrintsTheIdAlone) {
  FakeServers servers;
  Captured captured;
  const JobFileFlags flags{JobFile(), {"train.seed=5"}};
  EXPECT_EQ(Submit(captured.terminal, servers.address(), flags, false), kExitDone);
  EXPECT_EQ(captured.out.str(), "job-1\n");
  EXPECT_THAT(captured.err.str(), HasSubstr("reflux watch job-1"));
  EXPECT_EQ(Submit(captured.terminal, servers.address(), flags, false), kExitDone);
  ASSERT_EQ(servers.jobs.submitted.size(), 2);
  EXPECT_EQ(servers.jobs.submitted[0].spec().train().seed(), 5);
  EXPECT_EQ(servers.jobs.submitted[0].spec().train().global_batch(), 8);
  EXPECT_NE(servers.jobs.submitted[0].request_id(), servers.jobs.submitted[1].request_id());
}

TEST(SubmitTest, WatchFollowsTheJobToItsEnd) {
  FakeServers servers;
  servers.jobs.streams = {{{FakeJobService::Job(v1::JOB_STATE_SUCCEEDED, 100)}}};
  Captured captured;
  EXPECT_EQ(Submit(captured.terminal, servers.address(), {JobFile(), {}}, true), kExitDone);
  EXPECT_THAT(captured.out.str(), HasSubstr("job-1 small: succeeded"));
}

TEST(SubmitTest, BadFilesAndRefusalsFail) {
  FakeServers servers;
  Captured captured;
  EXPECT_EQ(Submit(captured.terminal, servers.address(), {JobFile(), {"train.sed=5"}}, false),
            kExitFailed);
  EXPECT_TRUE(servers.jobs.submitted.empty());
  EXPECT_THAT(captured.err.str(), HasSubstr("did you mean `seed`?"));
  servers.jobs.submit_status = {grpc::StatusCode::INVALID_ARGUMENT, "data.root: not there"};
  EXPECT_EQ(Submit(captured.terminal, servers.address(), {JobFile(), {}}, false), kExitFailed);
  EXPECT_THAT(captured.err.str(), HasSubstr("reflux: data.root: not there"));
}

TEST(JobCommandsTest, DescribeShowsProgressAndProcesses) {
  FakeServers servers;
  v1::Process& process = *servers.jobs.described.add_processes();
  process.set_role("worker/0");
  process.set_state("running");
  process.set_pid(4711);
  Captured captured;
  EXPECT_EQ(Describe(captured.terminal, servers.address(), "job-1"), kExitDone);
  EXPECT_THAT(captured.out.str(), HasSubstr("state:       running"));
  EXPECT_THAT(captured.out.str(), HasSubstr("step:        40/100"));
  EXPECT_THAT(captured.out.str(), testing::ContainsRegex("worker/0 +running +4711"));
  EXPECT_EQ(Describe(captured.terminal, servers.address(), "job-2"), kExitFailed);
  EXPECT_EQ(captured.err.str(), "reflux: no job job-2\n");
}

TEST(JobCommandsTest, CancelAnswersWithTheState) {
  FakeServers servers;
  Captured captured;
  EXPECT_EQ(Cancel(captured.terminal, servers.address(), "job-1"), kExitDone);
  EXPECT_EQ(servers.jobs.cancelled, "job-1");
  EXPECT_EQ(captured.out.str(), "job-1 is cancelling\n");
}

TEST(JobCommandsTest, EndpointsMayBeFilesAndAbsenceIsExplained) {
  FakeServers servers;
  const std::string file = testing::TempDir() + "job_commands_endpoint";
  ASSERT_TRUE(PublishEndpoint(file, servers.address()).ok());
  Captured captured;
  EXPECT_EQ(ListJobs(captured.terminal, "@" + file), kExitDone);
  EXPECT_THAT(captured.out.str(), testing::ContainsRegex("job-1 +small +running +40/100 +41.50"));
  EXPECT_EQ(ListJobs(captured.terminal, "@" + file + ".none"), kExitFailed);
  EXPECT_THAT(captured.err.str(), HasSubstr("no server has been started"));
}

v1::ReadLogResponse LogPart(const std::string& content, int64_t next, bool finished) {
  v1::ReadLogResponse part;
  part.set_content(content);
  part.set_next_offset(next);
  part.set_job_finished(finished);
  return part;
}

TEST(LogsTest, PrintsTheEndOfTheLog) {
  FakeServers servers;
  servers.jobs.log_parts = {LogPart("a\nb\n", 4, false)};
  Captured captured;
  EXPECT_EQ(Logs(captured.terminal, servers.address(), {"job-1", "worker/1", false}), kExitDone);
  EXPECT_EQ(captured.out.str(), "a\nb\n");
  EXPECT_EQ(servers.jobs.log_requests[0].role(), "worker/1");
  EXPECT_LT(servers.jobs.log_requests[0].offset(), 0);
}

TEST(LogsTest, FollowReadsOnUntilTheJobHasEnded) {
  FakeServers servers;
  servers.jobs.log_parts = {LogPart("a\n", 2, false), LogPart("b\n", 4, true),
                            LogPart("", 4, true)};
  Captured captured;
  EXPECT_EQ(Logs(captured.terminal, servers.address(), {"job-1", "", true}), kExitDone);
  EXPECT_EQ(captured.out.str(), "a\nb\n");
  ASSERT_EQ(servers.jobs.log_requests.size(), 3);
  EXPECT_EQ(servers.jobs.log_requests[1].offset(), 2);
}

}  // namespace
}  // namespace reflux
