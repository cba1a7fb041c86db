// The orchestrator's gRPC API in one process, with processes that are only pretended.
#include "orchestrator/job_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/rpc/server.h"
#include "common/spec/job_file.h"
#include "orchestrator/state_layout.h"
#include "tests/integration/orchestrator/fake_launcher.h"

namespace reflux {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class JobServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    static std::atomic<int> count{0};
    folder_ = absl::StrCat(std::filesystem::absolute(testing::TempDir()).string(), "/jobs-",
                           getpid(), "-", count++);
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/teacher.safetensors") << "weights";
    options_ = {.state_dir = folder_ + "/state", .bin_dir = "/bin"};
    options_.restart = {absl::Milliseconds(1), absl::Milliseconds(4)};
    StartOrchestrator();
  }
  void TearDown() override {
    StopOrchestrator();
    std::filesystem::remove_all(folder_);
  }

  void StartOrchestrator() {
    auto store = JobStore::Open(folder_ + "/state/db");
    ASSERT_TRUE(store.ok()) << store.status();
    orchestrator_ = Orchestrator::Start(options_, *std::move(store),
                                        std::make_unique<FakeLauncher>(processes_), nullptr)
                        .value();
    job_service_ = MakeJobService(*orchestrator_);
    membership_service_ = MakeMembershipService(*orchestrator_);
    server_ = RpcServer::Start({}, {job_service_.get(), membership_service_.get()}).value();
    const auto channel =
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    jobs_ = v1::JobService::NewStub(channel);
    membership_ = v1::MembershipService::NewStub(channel);
  }
  // As kill -9 does: processes go on.
  void StopOrchestrator() {
    server_ = nullptr;
    orchestrator_ = nullptr;
  }

  v1::JobSpec AloneSpec(int students = 2) {
    v1::JobSpec spec;
    spec.set_name("alone");
    spec.mutable_data()->set_format("camvid");
    spec.mutable_data()->set_root("/data");
    spec.mutable_student()->set_model("deeplabv3_resnet18");
    spec.mutable_train()->set_steps(100);
    spec.mutable_losses()->mutable_ce();
    spec.mutable_run()->set_students(students);
    spec.mutable_run()->set_max_restarts(3);
    return spec;
  }
  v1::JobSpec DistilSpec() {
    v1::JobSpec spec = AloneSpec();
    spec.set_name("distil");
    spec.mutable_losses()->mutable_kd();
    (*spec.mutable_teachers())["default"].set_checkpoint(folder_ + "/teacher.safetensors");
    return spec;
  }

  grpc::Status Submit(const v1::JobSpec& spec, v1::Job* job, const std::string& request_id = "") {
    grpc::ClientContext context;
    v1::SubmitJobRequest request;
    request.set_request_id(request_id);
    *request.mutable_spec() = spec;
    return jobs_->SubmitJob(&context, request, job);
  }
  v1::Job MustSubmit(const v1::JobSpec& spec) {
    v1::Job job;
    const grpc::Status status = Submit(spec, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }
  v1::Job Get(const std::string& job_id) {
    grpc::ClientContext context;
    v1::GetJobRequest request;
    request.set_job_id(job_id);
    v1::Job job;
    EXPECT_TRUE(jobs_->GetJob(&context, request, &job).ok());
    return job;
  }
  // Through WatchJob, which must show every state.
  v1::Job AwaitState(const std::string& job_id, v1::JobState state) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::GetJobRequest request;
    request.set_job_id(job_id);
    auto stream = jobs_->WatchJob(&context, request);
    v1::Job job;
    while (stream->Read(&job)) {
      if (job.state() == state) {
        context.TryCancel();
        return job;
      }
    }
    ADD_FAILURE() << "never " << v1::JobState_Name(state) << ", last: " << job.ShortDebugString();
    return job;
  }
  grpc::Status Register(v1::RegisterRequest request, v1::RegisterResponse* response) {
    grpc::ClientContext context;
    if (request.build_version().empty()) request.set_build_version(std::string(BuildVersion()));
    return membership_->Register(&context, request, response);
  }
  v1::RegisterRequest Worker(const std::string& job_id, int generation, int rank) {
    v1::RegisterRequest request;
    request.set_launch_id(absl::StrCat(job_id, ".g", generation, ".r", rank));
    request.set_job_id(job_id);
    request.set_role(absl::StrCat("worker/", rank));
    request.set_generation(generation);
    request.set_pid(1000 + rank);
    if (rank == 0) request.set_store_address("127.0.0.1:7777");
    return request;
  }
  void RegisterWorkers(const std::string& job_id, int generation, int count = 2) {
    for (int rank = 0; rank < count; ++rank) {
      v1::RegisterResponse response;
      const grpc::Status status = Register(Worker(job_id, generation, rank), &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
    }
  }
  void RegisterService(const FakeProcesses::Launch& launch, const std::string& role) {
    v1::RegisterRequest request;
    request.set_launch_id(launch.spec.launch_id);
    request.set_role(role);
    request.set_address("127.0.0.1:" + std::to_string(role[0]));
    v1::RegisterResponse response;
    const grpc::Status status = Register(request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  grpc::Status Heartbeat(const std::string& job_id, int generation, int rank, int64_t step,
                         v1::HeartbeatResponse* response) {
    grpc::ClientContext context;
    v1::HeartbeatRequest request;
    request.set_launch_id(absl::StrCat(job_id, ".g", generation, ".r", rank));
    request.set_job_id(job_id);
    request.set_generation(generation);
    request.mutable_progress()->set_step(step);
    return membership_->Heartbeat(&context, request, response);
  }
  static std::string ValueOf(const LaunchSpec& launch, const std::string& flag) {
    const auto& arguments = launch.arguments;
    const auto found = std::find(arguments.begin(), arguments.end(), flag);
    return found == arguments.end() || found + 1 == arguments.end() ? "" : *(found + 1);
  }
  v1::Job StartDistilling() {
    const v1::Job job = MustSubmit(DistilSpec());
    const auto teacher = processes_.Await("teacher-");
    RegisterService(teacher, ValueOf(teacher.spec, "--role"));
    const auto cache = processes_.Await("cache-");
    RegisterService(cache, ValueOf(cache.spec, "--role"));
    processes_.Await(job.job_id() + ".g1.r1");
    RegisterWorkers(job.job_id(), 1);
    return job;
  }

  std::string folder_;
  OrchestratorOptions options_;
  FakeProcesses processes_;
  std::unique_ptr<Orchestrator> orchestrator_;
  std::unique_ptr<v1::JobService::Service> job_service_;
  std::unique_ptr<v1::MembershipService::Service> membership_service_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<v1::JobService::Stub> jobs_;
  std::unique_ptr<v1::MembershipService::Stub> membership_;
};

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

TEST_F(JobServiceTest, StartsTheSharedServicesFirstAndWiresThem) {
  const v1::Job job = MustSubmit(DistilSpec());
  EXPECT_EQ(job.state(), v1::JOB_STATE_STARTING);
  const auto teacher = processes_.Await("teacher-");
  const auto cache = processes_.Await("cache-default-");
  EXPECT_THAT(processes_.Living(), SizeIs(2)) << "workers wait";
  EXPECT_EQ(ValueOf(cache.spec, "--teacher"), "@" + ValueOf(teacher.spec, "--endpoint-file"));
  EXPECT_THAT(ValueOf(cache.spec, "--dir"), HasSubstr("/state/caches/default/"));
  EXPECT_TRUE(std::filesystem::exists(ValueOf(teacher.spec, "--job")));
  EXPECT_EQ(ValueOf(teacher.spec, "--teacher"), "default");
  EXPECT_EQ(ValueOf(teacher.spec, "--launch-id"), teacher.spec.launch_id);

  RegisterService(teacher, ValueOf(teacher.spec, "--role"));
  RegisterService(cache, ValueOf(cache.spec, "--role"));
  const LaunchSpec worker = processes_.Await(".g1.r0").spec;
  EXPECT_EQ(ValueOf(worker, "--targets"), "@" + ValueOf(cache.spec, "--endpoint-file"));
  EXPECT_THAT(Get(job.job_id()).processes(), SizeIs(4));

  const v1::Job second = MustSubmit(DistilSpec());
  processes_.Await(second.job_id() + ".g1.r0");
  EXPECT_THAT(processes_.Living(), SizeIs(6)) << "teacher and cache are shared";
}

TEST_F(JobServiceTest, WithoutACacheWorkersAskTheTeacher) {
  v1::JobSpec spec = DistilSpec();
  spec.mutable_targets()->set_cache("none");
  const v1::Job job = MustSubmit(spec);
  const auto teacher = processes_.Await("teacher-");
  RegisterService(teacher, ValueOf(teacher.spec, "--role"));
  const LaunchSpec worker = processes_.Await(job.job_id() + ".g1.r0").spec;
  EXPECT_EQ(ValueOf(worker, "--targets"), "@" + ValueOf(teacher.spec, "--endpoint-file"));
}

TEST_F(JobServiceTest, ADeadServiceIsStartedAgainInItsRole) {
  const v1::Job job = StartDistilling();
  const auto first = processes_.Await("teacher-");
  processes_.End(first.spec.launch_id, -1, 9);
  const auto second = processes_.Await("teacher-");
  EXPECT_NE(second.spec.launch_id, first.spec.launch_id);
  EXPECT_EQ(ValueOf(second.spec, "--endpoint-file"), ValueOf(first.spec, "--endpoint-file"));
  EXPECT_EQ(Get(job.job_id()).state(), v1::JOB_STATE_RUNNING) << "the job goes on meanwhile";
}

TEST_F(JobServiceTest, AJobFailsWithATeacherThatCannotWork) {
  const v1::Job job = MustSubmit(DistilSpec());
  const auto teacher = processes_.Await("teacher-");
  std::filesystem::create_directories(std::filesystem::path(teacher.spec.log_file).parent_path());
  std::ofstream(teacher.spec.log_file) << "teacher: 4.1 % mIoU, expected 77\n";
  processes_.End(teacher.spec.launch_id, kPermanentFailure);
  EXPECT_THAT(AwaitState(job.job_id(), v1::JOB_STATE_FAILED).message(), HasSubstr("expected 77"));
}

TEST_F(JobServiceTest, ServicesLingerAndThenStop) {
  StopOrchestrator();
  options_.service_linger = absl::Milliseconds(20);
  StartOrchestrator();
  const v1::Job job = StartDistilling();
  const auto teacher = processes_.Await("teacher-");
  const auto cache = processes_.Await("cache-");
  EXPECT_THAT(processes_.Get(cache.spec.launch_id).stops, IsEmpty());
  for (int rank = 0; rank < 2; ++rank) {
    processes_.End(absl::StrCat(job.job_id(), ".g1.r", rank), kExitDone);
  }
  EXPECT_THAT(processes_.AwaitStop("cache-").stops, Contains(StopMode::kGraceful));
  EXPECT_THAT(processes_.Get(teacher.spec.launch_id).stops, IsEmpty()) << "the cache needs it";
  processes_.End(cache.spec.launch_id, kExitStopped);
  EXPECT_THAT(processes_.AwaitStop("teacher-").stops, Contains(StopMode::kGraceful));
  processes_.End(teacher.spec.launch_id, kExitStopped);
  EXPECT_THAT(processes_.Living(), IsEmpty()) << "and are not started again";
}

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
  (*spec.mutable_teachers())["big"].set_checkpoint(folder_ + "/teacher.safetensors");
  spec.mutable_losses()->mutable_icsd()->set_teacher("big");
  v1::Job job;
  const grpc::Status status = Submit(spec, &job);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), std::string(ResolveJob(spec).status().message()));
  for (const char* problem : {"train.momentum", "data.root", "several teachers"}) {
    EXPECT_THAT(status.error_message(), HasSubstr(problem));
  }
  EXPECT_THAT(processes_.Living(), IsEmpty());
}

TEST_F(JobServiceTest, TheOnlyTeacherMayHaveAnyName) {
  v1::JobSpec spec = DistilSpec();
  const v1::TeacherSpec teacher = spec.teachers().at("default");
  spec.clear_teachers();
  (*spec.mutable_teachers())["big"] = teacher;
  MustSubmit(spec);
  EXPECT_EQ(ValueOf(processes_.Await("teacher-").spec, "--teacher"), "big");
}

TEST_F(JobServiceTest, RefusesAnotherBuild) {
  const std::string id = MustSubmit(AloneSpec()).job_id();
  v1::RegisterRequest request = Worker(id, 1, 0);
  request.set_build_version("0.0.1-other");
  v1::RegisterResponse response;
  const grpc::Status status = Register(request, &response);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("0.0.1-other"));
}

TEST_F(JobServiceTest, UnknownJobsAreNotFound) {
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_job_id("nope");
  v1::Job job;
  EXPECT_EQ(jobs_->GetJob(&context, request, &job).error_code(), grpc::NOT_FOUND);
}

TEST_F(JobServiceTest, ASecondOrchestratorIsKeptOut) {
  const auto second = JobStore::Open(folder_ + "/state/db");
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
}

}  // namespace
}  // namespace reflux
