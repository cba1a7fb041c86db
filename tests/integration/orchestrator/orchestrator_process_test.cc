// The real reflux-orchestrator and reflux-supervise with stand-ins for the programs of jobs: what
// survives which kill, and that nothing is left behind.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/exit_codes.h"
#include "common/rpc/endpoints.h"
#include "orchestrator/process/proc.h"
#include "reflux/v1/jobs.grpc.pb.h"
#include "tests/support/folder_watch.h"
#include "tests/support/shell.h"

extern char** environ;

namespace reflux {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(30);

class OrchestratorProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    static std::atomic<int> count{0};
    folder_ = absl::StrCat(std::filesystem::absolute(testing::TempDir()).string(), "/orchestrator-",
                           getpid(), "-", count++);
    std::filesystem::create_directories(folder_ + "/bin");
    for (const char* program : {"reflux-worker", "reflux-teacher", "reflux-cache"}) {
      std::filesystem::create_symlink(FAKE_PROGRAM, folder_ + "/bin/" + program);
    }
    std::filesystem::create_symlink(SUPERVISOR, folder_ + "/bin/reflux-supervise");
    std::ofstream(folder_ + "/teacher.safetensors") << "weights";
  }
  void TearDown() override {
    Stop(SIGTERM);
    EXPECT_TRUE(AwaitLeftovers(0)) << "processes were left behind";
    std::filesystem::remove_all(folder_);
  }

  pid_t Spawn(const std::vector<std::string>& extra) {
    std::vector<std::string> command = {ORCHESTRATOR, "--state",        State(),
                                        "--bin-dir",  folder_ + "/bin", "--restart-backoff",
                                        "0.01",       "--grace",        "5"};
    command.insert(command.end(), extra.begin(), extra.end());
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    pid_t pid = 0;
    EXPECT_EQ(posix_spawn(&pid, ORCHESTRATOR, nullptr, nullptr, arguments.data(), environ), 0);
    return pid;
  }
  void Start(const std::vector<std::string>& extra = {}) {
    orchestrator_ = Spawn(extra);
    ASSERT_TRUE(
        FolderWatch(folder_).Await([&] { return ResolveEndpoint(Endpoint()).ok(); }, kPatience));
    // The file may still be that of the one before.
    ASSERT_TRUE(PollOutside(
        [&] {
          jobs_ = v1::JobService::NewStub(grpc::CreateChannel(
              ResolveEndpoint(Endpoint()).value_or(""), grpc::InsecureChannelCredentials()));
          grpc::ClientContext context;
          context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
          v1::ListJobsResponse response;
          return jobs_->ListJobs(&context, {}, &response).ok();
        },
        kPatience));
  }
  int Stop(int signal) {
    if (orchestrator_ == 0) return 0;
    kill(orchestrator_, signal);
    int status = 0;
    waitpid(orchestrator_, &status, 0);
    orchestrator_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  v1::Job Submit(bool distil = false) {
    v1::SubmitJobRequest request;
    v1::JobSpec& spec = *request.mutable_spec();
    spec.set_name("job");
    spec.mutable_data()->set_format("camvid");
    spec.mutable_data()->set_root(folder_);
    spec.mutable_student()->set_model("deeplabv3_resnet18");
    spec.mutable_losses()->mutable_ce();
    spec.mutable_train()->set_steps(100);
    spec.mutable_run()->set_students(2);
    if (distil) {
      spec.mutable_losses()->mutable_kd();
      (*spec.mutable_teachers())["default"].set_checkpoint(folder_ + "/teacher.safetensors");
    }
    grpc::ClientContext context;
    v1::Job job;
    const grpc::Status status = jobs_->SubmitJob(&context, request, &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }
  v1::Job Get(const std::string& id) {
    grpc::ClientContext context;
    v1::GetJobRequest request;
    request.set_job_id(id);
    v1::Job job;
    EXPECT_TRUE(jobs_->GetJob(&context, request, &job).ok());
    return job;
  }
  // The first update of the job that `wanted` holds for.
  v1::Job AwaitJob(const std::string& id, const std::function<bool(const v1::Job&)>& wanted) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
    v1::GetJobRequest request;
    request.set_job_id(id);
    const auto stream = jobs_->WatchJob(&context, request);
    v1::Job job;
    while (stream->Read(&job)) {
      if (!wanted(job)) continue;
      context.TryCancel();
      return job;
    }
    ADD_FAILURE() << "ended or waited in vain: " << job.ShortDebugString();
    return job;
  }
  v1::Job AwaitState(const std::string& id, v1::JobState state) {
    return AwaitJob(id, [state](const v1::Job& job) { return job.state() == state; });
  }
  // Running in `generation`, with every process registered. What becomes of a shared service is no
  // event of the job: it is asked for.
  v1::Job AwaitRunning(const std::string& id, int generation) {
    AwaitJob(id, [generation](const v1::Job& job) {
      return job.state() == v1::JOB_STATE_RUNNING && job.generation() == generation;
    });
    v1::Job job;
    const auto all_run = [&] {
      job = Get(id);
      return std::all_of(job.processes().begin(), job.processes().end(),
                         [](const v1::Process& process) { return process.state() == "running"; });
    };
    EXPECT_TRUE(PollOutside(all_run, kPatience)) << job.ShortDebugString();
    EXPECT_EQ(job.state(), v1::JOB_STATE_RUNNING);
    EXPECT_EQ(job.generation(), generation);
    return job;
  }
  void Finish(const v1::Job& job) {
    std::ofstream(job.directory() + "/FINISH") << "";
    AwaitState(job.job_id(), v1::JOB_STATE_SUCCEEDED);
  }
  static pid_t PidOf(const v1::Job& job, const std::string& role) {
    for (const v1::Process& process : job.processes()) {
      if (absl::StartsWith(process.role(), role)) return process.pid();
    }
    ADD_FAILURE() << "no " << role << " in " << job.ShortDebugString();
    return 0;
  }
  // Never process 0, which would be the group of this test and of who runs it.
  static void Kill(const v1::Job& job, const std::string& role) {
    const pid_t pid = PidOf(job, role);
    ASSERT_GT(pid, 0) << role << " does not run";
    kill(pid, SIGKILL);
  }
  // What carries this test's folder in its command line: programs and their supervisors.
  std::vector<std::string> Leftovers() {
    std::vector<std::string> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
      std::ifstream file(entry.path() / "cmdline");
      const std::string line((std::istreambuf_iterator<char>(file)), {});
      if (absl::StrContains(line, folder_ + "/")) found.push_back(line);
    }
    return found;
  }
  bool AwaitLeftovers(size_t count) {
    return PollOutside([&] { return Leftovers().size() == count; }, kPatience);
  }
  std::string Endpoint() const { return "@" + State() + "/endpoints/orchestrator"; }
  std::string State() const { return folder_ + "/state"; }

  std::string folder_;
  pid_t orchestrator_ = 0;
  std::unique_ptr<v1::JobService::Stub> jobs_;
};

TEST_F(OrchestratorProcessTest, AKilledOrchestratorTakesItsJobsOverUndisturbed) {
  Start();
  const v1::Job before = AwaitRunning(Submit(/*distil=*/true).job_id(), 1);
  const auto address = ResolveEndpoint(Endpoint());
  Stop(SIGKILL);
  Start();
  EXPECT_EQ(ResolveEndpoint(Endpoint()).value(), *address);
  const v1::Job after = AwaitRunning(before.job_id(), 1);
  ASSERT_EQ(after.processes_size(), 4);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(after.processes(i).pid(), before.processes(i).pid());
  // Heartbeats find the new orchestrator.
  AwaitJob(after.job_id(), [&](const v1::Job& job) {
    return job.progress().step() > before.progress().step() + 3;
  });
  Finish(after);
}

TEST_F(OrchestratorProcessTest, AKilledWorkerStartsTheNextGeneration) {
  Start();
  const v1::Job job = AwaitRunning(Submit().job_id(), 1);
  Kill(job, "worker/1");
  const v1::Job next = AwaitRunning(job.job_id(), 2);
  EXPECT_NE(PidOf(next, "worker/0"), PidOf(job, "worker/0"));
  EXPECT_EQ(next.restarts(), 1);
  Finish(next);
}

TEST_F(OrchestratorProcessTest, AKilledServiceComesBackWithoutTouchingTheJob) {
  Start();
  const v1::Job job = AwaitRunning(Submit(/*distil=*/true).job_id(), 1);
  for (const char* role : {"cache/", "teacher/"}) {
    Kill(job, role);
    const auto is_another = [&] {
      const pid_t pid = PidOf(Get(job.job_id()), role);
      return pid != 0 && pid != PidOf(job, role);
    };
    EXPECT_TRUE(PollOutside(is_another, kPatience)) << role;
  }
  EXPECT_EQ(AwaitRunning(job.job_id(), 1).restarts(), 0);
}

TEST_F(OrchestratorProcessTest, AWorkerThatDiesWhileTheOrchestratorIsAwayIsNoticed) {
  Start();
  const v1::Job job = AwaitRunning(Submit().job_id(), 1);
  Stop(SIGKILL);
  Kill(job, "worker/0");
  Start();
  const v1::Job next = AwaitRunning(job.job_id(), 2);
  EXPECT_EQ(next.restarts(), 1);
  for (const char* role : {"worker/0", "worker/1"}) {
    EXPECT_NE(PidOf(next, role), PidOf(job, role)) << role;
    EXPECT_FALSE(ProcessStartTime(PidOf(job, role)).ok()) << "the old " << role << " still lives";
  }
  Finish(next);
}

TEST_F(OrchestratorProcessTest, SigtermStopsEverythingResumably) {
  Start();
  const v1::Job job = AwaitRunning(Submit(/*distil=*/true).job_id(), 1);
  EXPECT_EQ(Stop(SIGTERM), kExitDone);
  EXPECT_THAT(Leftovers(), testing::IsEmpty());
  Start();
  const v1::Job next = AwaitRunning(job.job_id(), 2);
  EXPECT_EQ(next.restarts(), 0);
  Finish(next);
}

TEST_F(OrchestratorProcessTest, CancelLeavesNoWorker) {
  Start({"--service-linger", "0"});
  const v1::Job job = AwaitRunning(Submit(/*distil=*/true).job_id(), 1);
  grpc::ClientContext context;
  v1::GetJobRequest request;
  request.set_job_id(job.job_id());
  v1::Job cancelled;
  ASSERT_TRUE(jobs_->CancelJob(&context, request, &cancelled).ok());
  AwaitState(job.job_id(), v1::JOB_STATE_CANCELLED);
  // The orchestrator alone remains; the services were not to linger.
  EXPECT_TRUE(AwaitLeftovers(1));
}

TEST_F(OrchestratorProcessTest, OrphansStopThemselves) {
  Start({"--orphan-timeout", "0.5"});
  AwaitRunning(Submit(/*distil=*/true).job_id(), 1);
  Stop(SIGKILL);
  EXPECT_TRUE(AwaitLeftovers(0));
}

TEST_F(OrchestratorProcessTest, ASecondOrchestratorOnTheSameStateEnds) {
  Start();
  int status = 0;
  ASSERT_EQ(waitpid(Spawn({}), &status, 0) > 0, true);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), kExitFailed);
}

// What the orchestrator prints for a command line that starts nothing.
ShellOutput Ask(const std::string& environment, const std::string& arguments) {
  return RunShell(environment + " " + ORCHESTRATOR + " " + arguments + " 2>&1");
}

TEST(OrchestratorFlagsTest, TheStateIsWhereTheClientLooks) {
  const ShellOutput help = Ask("HOME=/home/someone", "--help");
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.text, testing::HasSubstr("/home/someone/.local/state/reflux"));
  const ShellOutput homeless = Ask("env -u HOME", "");
  EXPECT_EQ(homeless.exit_code, 2);
  EXPECT_THAT(homeless.text, testing::HasSubstr("--state is required"));
}

TEST(OrchestratorFlagsTest, TimesThatMakeNoSenseAreUsageErrors) {
  for (const std::string flag :
       {"--orphan-timeout 0", "--grace -1", "--service-linger -0.5", "--lease 0",
        "--start-timeout 0", "--restart-backoff 1e12", "--log-level loud"}) {
    // A state that could not be made: whoever takes the flag fails with another code.
    const ShellOutput answer = Ask("", "--state /proc/none " + flag);
    EXPECT_EQ(answer.exit_code, 2) << flag;
    EXPECT_THAT(answer.text, testing::HasSubstr(flag.substr(0, flag.find(' '))));
  }
}

}  // namespace
}  // namespace reflux
