// The orchestrator's gRPC API in one process, with processes that are only pretended.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/build_version.h"
#include "common/rpc/server.h"
#include "orchestrator/job_service.h"
#include "tests/integration/orchestrator/fake_launcher.h"

namespace reflux {

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
  // Where the teachers of a launch's pool are found: the folder of its endpoint file.
  static std::string PoolOf(const LaunchSpec& teacher) {
    const std::filesystem::path file = ValueOf(teacher, "--endpoint-file");
    return "@" + file.parent_path().string() + "/";
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

}  // namespace reflux
