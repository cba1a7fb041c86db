#include "tests/e2e/orchestrator_process.h"

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/rpc/endpoints.h"
#include "tests/support/folder_watch.h"

namespace reflux {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(5), kStartPatience = absl::Minutes(1);

std::string Program(const std::string& name) {
  const char* folder = std::getenv("REFLUX_BIN");
  return absl::StrCat(folder != nullptr ? folder : "build/release/bin", "/", name);
}

}  // namespace

OrchestratorProcess::OrchestratorProcess(std::string state) : state_(std::move(state)) { Start(); }

OrchestratorProcess::~OrchestratorProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

void OrchestratorProcess::Start() {
  const std::string program = Program("reflux-orchestrator"), log = state_ + ".log";
  pid_ = fork();
  if (pid_ == 0) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execl(program.c_str(), program.c_str(), "--state", state_.c_str(), "--restart-backoff", "0.2",
          "--grace", "20", nullptr);
    _exit(127);
  }
  const std::string endpoint = "@" + state_ + "/endpoints/orchestrator";
  FolderWatch(std::filesystem::path(state_).parent_path())
      .Await([&] { return ResolveEndpoint(endpoint).ok(); }, kStartPatience);
  const absl::Time limit = absl::Now() + kStartPatience;
  while (absl::Now() < limit) {
    const std::string address = ResolveEndpoint(endpoint).value_or("127.0.0.1:1");
    // The file of the one before may name another port: read again after every try.
    const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    if (channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(2)))
      return;
  }
  ADD_FAILURE() << "the orchestrator did not start, see " << log;
}

std::unique_ptr<v1::JobService::Stub> OrchestratorProcess::Connect() {
  const std::string address =
      ResolveEndpoint("@" + state_ + "/endpoints/orchestrator").value_or("127.0.0.1:1");
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::JobService::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
}

v1::Job OrchestratorProcess::Submit(const v1::JobSpec& spec) {
  grpc::ClientContext context;
  v1::SubmitJobRequest request;
  request.set_request_id("proof");
  *request.mutable_spec() = spec;
  v1::Job job;
  const grpc::Status status = Connect()->SubmitJob(&context, request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

v1::Job OrchestratorProcess::Get(const std::string& job_id) {
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_job_id(job_id);
  v1::Job job;
  Connect()->GetJob(&context, request, &job);
  return job;
}

v1::Job OrchestratorProcess::Await(const std::string& job_id,
                                   const std::function<bool(const v1::Job&)>& condition) {
  const absl::Time limit = absl::Now() + kPatience;
  v1::Job job;
  while (absl::Now() < limit) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(limit));
    v1::GetJobRequest request;
    request.set_job_id(job_id);
    const auto stub = Connect();
    const auto reader = stub->WatchJob(&context, request);
    while (reader->Read(&job)) {
      if (!condition(job) && !IsFinal(job)) continue;
      context.TryCancel();
      reader->Finish();
      EXPECT_TRUE(condition(job)) << "ended as " << v1::JobState_Name(job.state()) << ": "
                                  << job.message();
      return job;
    }
    reader->Finish();
  }
  ADD_FAILURE() << "waited five minutes; the job is " << job.ShortDebugString();
  return job;
}

void OrchestratorProcess::Kill() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void OrchestratorProcess::Restart() { Start(); }

bool IsFinal(const v1::Job& job) {
  return job.state() == v1::JOB_STATE_SUCCEEDED || job.state() == v1::JOB_STATE_FAILED ||
         job.state() == v1::JOB_STATE_CANCELLED;
}

v1::Process FindProcess(const v1::Job& job, const std::string& prefix) {
  for (const v1::Process& process : job.processes()) {
    if (absl::StartsWith(process.role(), prefix)) return process;
  }
  return {};
}

}  // namespace reflux
