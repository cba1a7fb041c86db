// What clients submit, see, cancel and are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "tests/integration/orchestrator/job_service_fixture.h"

namespace reflux {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(JobServiceTest, RunsAStudentAloneToSuccess) {
  const v1::Job job = MustSubmit(AloneSpec());
  const std::string id = job.job_id();
  EXPECT_THAT(processes_.Living(), SizeIs(2)) << "no teacher, no cache";
  const LaunchSpec worker = processes_.Await(id + ".g1.r1").spec;
  EXPECT_EQ(worker.program, "/bin/reflux-worker");
  EXPECT_EQ(ValueOf(worker, "--rank"), "1");
  EXPECT_EQ(ValueOf(worker, "--world-size"), "2");
  EXPECT_EQ(ValueOf(worker, "--targets"), "");
  EXPECT_TRUE(absl::StrContains(ReadFile(ValueOf(worker, "--job"), 10000).value(), "\"alone\""));

  RegisterWorkers(id, 1);
  EXPECT_EQ(Get(id).state(), v1::JOB_STATE_RUNNING);
  v1::HeartbeatResponse heartbeat;
  ASSERT_TRUE(Heartbeat(id, 1, 0, 12, &heartbeat).ok());
  EXPECT_FALSE(heartbeat.stop());
  EXPECT_EQ(Get(id).progress().step(), 12);
  processes_.End(id + ".g1.r0", kExitDone);
  processes_.End(id + ".g1.r1", kExitDone);
  const v1::Job done = AwaitState(id, v1::JOB_STATE_SUCCEEDED);
  EXPECT_GT(done.finished_unix_ms(), 0);
  EXPECT_EQ(done.progress().step(), 12);
}

TEST_F(JobServiceTest, GivesRankZerosStoreToTheOthers) {
  const std::string id = MustSubmit(AloneSpec()).job_id();
  v1::RegisterResponse response;
  ASSERT_TRUE(Register(Worker(id, 1, 1), &response).ok());
  EXPECT_EQ(response.store_address(), "");
  EXPECT_GT(response.lease_ms(), 0);
  ASSERT_TRUE(Register(Worker(id, 1, 0), &response).ok());
  ASSERT_TRUE(Register(Worker(id, 1, 1), &response).ok());
  EXPECT_EQ(response.store_address(), "127.0.0.1:7777");
  grpc::ClientContext context;
  v1::ResolveRequest request;
  request.set_name("store/" + id);
  v1::ResolveResponse resolved;
  ASSERT_TRUE(membership_->Resolve(&context, request, &resolved).ok());
  EXPECT_EQ(resolved.address(), "127.0.0.1:7777");
}

TEST_F(JobServiceTest, SubmitIsIdempotentInItsRequestId) {
  v1::Job first, again, other;
  ASSERT_TRUE(Submit(AloneSpec(), &first, "r1").ok());
  ASSERT_TRUE(Submit(AloneSpec(), &again, "r1").ok());
  ASSERT_TRUE(Submit(AloneSpec(), &other, "r2").ok());
  EXPECT_EQ(first.job_id(), again.job_id());
  EXPECT_NE(first.job_id(), other.job_id());
}

TEST_F(JobServiceTest, CancelStopsItsProcesses) {
  const std::string id = MustSubmit(AloneSpec()).job_id();
  RegisterWorkers(id, 1);
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_job_id(id);
  v1::Job job;
  ASSERT_TRUE(jobs_->CancelJob(&context, request, &job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_CANCELLING);
  EXPECT_THAT(processes_.AwaitStop(".g1.r0").stops, Contains(StopMode::kGraceful));
  processes_.End(id + ".g1.r0", kExitStopped);
  processes_.End(id + ".g1.r1", kExitStopped);
  AwaitState(id, v1::JOB_STATE_CANCELLED);
}

TEST_F(JobServiceTest, ReadsLogsOfAllGenerationsAsOne) {
  const std::string id = MustSubmit(AloneSpec(1)).job_id();
  const LaunchSpec first = processes_.Await(".g1.r0").spec;
  std::filesystem::create_directories(std::filesystem::path(first.log_file).parent_path());
  std::ofstream(first.log_file) << "one\n";
  processes_.End(first.launch_id, -1, 9);
  std::ofstream(processes_.Await(".g2.r0").spec.log_file) << "two\n";
  const auto read = [&](int64_t offset, int64_t max_bytes) {
    grpc::ClientContext context;
    v1::ReadLogRequest request;
    request.set_job_id(id);
    request.set_offset(offset);
    request.set_max_bytes(max_bytes);
    v1::ReadLogResponse response;
    const grpc::Status status = jobs_->ReadLog(&context, request, &response);
    return status.ok() ? absl::StrCat(response.content(), "|", response.next_offset())
                       : absl::StrCat("error ", status.error_code());
  };
  EXPECT_EQ(read(0, 0), "one\ntwo\n|8");
  EXPECT_EQ(read(2, 4), "e\ntw|6");
  EXPECT_EQ(read(-3, 0), "wo\n|8");
  EXPECT_EQ(read(8, 0), "|8");
  EXPECT_EQ(read(0, 2 << 20), absl::StrCat("error ", grpc::INVALID_ARGUMENT));
}

TEST_F(JobServiceTest, RefusesWhatItCannotRun) {
  v1::Job job;
  const auto refusal = [&](const std::function<void(v1::JobSpec&)>& change) {
    v1::JobSpec spec = DistilSpec();
    change(spec);
    const grpc::Status status = Submit(spec, &job);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_THAT(refusal([](auto& s) { s.set_name("../x"); }), HasSubstr("name"));
  EXPECT_THAT(refusal([](auto& s) { s.mutable_targets()->set_cache(".."); }),
              HasSubstr("targets.cache"));
  EXPECT_THAT(refusal([](auto& s) { s.mutable_run()->set_students(0); }),
              HasSubstr("run.students"));
  EXPECT_THAT(refusal([](auto& s) { s.mutable_run()->set_launcher("slurm"); }),
              HasSubstr("not available"));
  EXPECT_THAT(refusal([](auto& s) { s.mutable_losses()->mutable_icsd()->set_teacher("b"); }),
              HasSubstr("losses.icsd.teacher: no teacher `b`; there are: default"));
  EXPECT_THAT(
      refusal([](auto& s) { (*s.mutable_teachers())["default"].set_checkpoint("/nonexistent"); }),
      HasSubstr("checkpoint"));
  EXPECT_THAT(processes_.Living(), IsEmpty());
}

// Whatever client sends it: the checks are those of `reflux validate`, all of them at once.
TEST_F(JobServiceTest, RefusesWhatTheClientWouldRefuse) {
  v1::JobSpec spec = DistilSpec();
  spec.mutable_train()->set_momentum(2);
  spec.mutable_data()->clear_root();
  spec.mutable_losses()->mutable_icsd()->set_teacher("big");
  v1::Job job;
  const grpc::Status status = Submit(spec, &job);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), std::string(ResolveJob(spec).status().message()));
  for (const char* problem : {"train.momentum", "data.root", "no teacher `big`"}) {
    EXPECT_THAT(status.error_message(), HasSubstr(problem));
  }
  EXPECT_THAT(processes_.Living(), IsEmpty());
}

TEST_F(JobServiceTest, RefusesAnotherBuild) {
  const std::string id = MustSubmit(AloneSpec()).job_id();
  v1::RegisterRequest request = Worker(id, 1, 0);
  request.set_build_version("0.0.1-other");
  v1::RegisterResponse response;
  const grpc::Status status = Register(request, &response);
  EXPECT_EQ(status.error_code(), grpc::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("0.0.1-other"));
}

TEST_F(JobServiceTest, UnknownJobsAreNotFound) {
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_job_id("nope");
  v1::Job job;
  EXPECT_EQ(jobs_->GetJob(&context, request, &job).error_code(), grpc::NOT_FOUND);
}

}  // namespace
}  // namespace reflux
