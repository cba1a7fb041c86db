// Ranks and orchestrators that are lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/exit_codes.h"
#include "orchestrator/job_store.h"
#include "tests/integration/orchestrator/job_service_fixture.h"

namespace reflux {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(JobServiceTest, ALostRankStartsTheNextGenerationAndTheOldIsRefused) {
  const std::string id = MustSubmit(AloneSpec()).job_id();
  RegisterWorkers(id, 1);
  processes_.End(id + ".g1.r1", -1, 9);
  EXPECT_THAT(processes_.AwaitStop(".g1.r0").stops, Contains(StopMode::kHurried));
  v1::HeartbeatResponse heartbeat;
  ASSERT_TRUE(Heartbeat(id, 1, 0, 3, &heartbeat).ok());
  EXPECT_TRUE(heartbeat.stop());
  processes_.End(id + ".g1.r0", kExitStopped);
  EXPECT_EQ(ValueOf(processes_.Await(id + ".g2.r0").spec, "--generation"), "2");
  EXPECT_EQ(Heartbeat(id, 1, 0, 3, &heartbeat).error_code(), grpc::FAILED_PRECONDITION);
  v1::RegisterResponse response;
  EXPECT_EQ(Register(Worker(id, 1, 0), &response).error_code(), grpc::FAILED_PRECONDITION);
  RegisterWorkers(id, 2);
  const v1::Job job = AwaitState(id, v1::JOB_STATE_RUNNING);
  EXPECT_EQ(job.restarts(), 1);
  EXPECT_EQ(job.generation(), 2);
}

TEST_F(JobServiceTest, ASilentRankIsStopped) {
  StopOrchestrator();
  options_.lease = absl::Milliseconds(50);
  StartOrchestrator();
  const std::string id = MustSubmit(AloneSpec(1)).job_id();
  RegisterWorkers(id, 1, 1);
  EXPECT_THAT(processes_.AwaitStop(".g1.r0").stops, Contains(StopMode::kHurried));
  EXPECT_THAT(Get(id).message(), HasSubstr("no longer answers"));
}

TEST_F(JobServiceTest, BadInputFailsTheJobWithTheLastLinesOfItsLog) {
  const std::string id = MustSubmit(AloneSpec(1)).job_id();
  const LaunchSpec worker = processes_.Await(".g1.r0").spec;
  std::filesystem::create_directories(std::filesystem::path(worker.log_file).parent_path());
  std::ofstream(worker.log_file) << "starting\ndata: train/a.jpg has no label\n";
  processes_.End(worker.launch_id, kPermanentFailure);
  const v1::Job job = AwaitState(id, v1::JOB_STATE_FAILED);
  EXPECT_THAT(job.message(), HasSubstr("train/a.jpg has no label"));
  EXPECT_EQ(job.restarts(), 0);
}

TEST_F(JobServiceTest, ARestartedOrchestratorAdoptsWithoutDisturbing) {
  const v1::Job job = StartDistilling();
  const std::string id = job.job_id();
  const std::vector<std::string> before = processes_.Living();
  StopOrchestrator();
  StartOrchestrator();
  EXPECT_EQ(Get(id).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(Get(id).generation(), 1);
  EXPECT_EQ(processes_.Living(), before);
  for (const std::string& launch : before) {
    EXPECT_TRUE(processes_.Get(launch).adopted) << launch;
    EXPECT_THAT(processes_.Get(launch).stops, IsEmpty()) << launch;
  }
  v1::HeartbeatResponse heartbeat;
  ASSERT_TRUE(Heartbeat(id, 1, 0, 5, &heartbeat).ok()) << "no new registration is needed";
  processes_.End(id + ".g1.r1", -1, 9);
  processes_.AwaitStop(".g1.r0");
  processes_.End(id + ".g1.r0", -1, 15);
  EXPECT_EQ(processes_.Await(id + ".g2.r0").spec.launch_id, id + ".g2.r0");
}

TEST_F(JobServiceTest, ShutdownSuspendsAndTheNextStartGoesOn) {
  const std::string id = StartDistilling().job_id();
  std::thread stopper(
      [this] { EXPECT_TRUE(orchestrator_->Shutdown(absl::Now() + absl::Seconds(20)).ok()); });
  processes_.AwaitStop(id + ".g1.r1");
  EXPECT_THAT(processes_.Get(processes_.Await("teacher-").spec.launch_id).stops, IsEmpty())
      << "services stay until the last step is made";
  processes_.End(id + ".g1.r0", kExitStopped);
  processes_.End(id + ".g1.r1", kExitStopped);
  processes_.End(processes_.AwaitStop("teacher-").spec.launch_id, kExitStopped);
  processes_.End(processes_.AwaitStop("cache-").spec.launch_id, kExitStopped);
  stopper.join();
  EXPECT_EQ(Get(id).state(), v1::JOB_STATE_QUEUED);
  EXPECT_THAT(processes_.Living(), IsEmpty());
  StopOrchestrator();
  StartOrchestrator();
  for (const char* part : {"teacher-", "cache-"}) {
    const auto service = processes_.Await(part);
    RegisterService(service, ValueOf(service.spec, "--role"));
  }
  processes_.Await(id + ".g2.r0");
  EXPECT_EQ(Get(id).restarts(), 0);
}

TEST_F(JobServiceTest, ASecondOrchestratorIsKeptOut) {
  const auto second = JobStore::Open(folder_ + "/state/db");
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
}

}  // namespace
}  // namespace reflux
