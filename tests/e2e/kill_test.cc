// The proof, second half: a job of two ranks over real processes goes on to the same weights when
// the teacher, the cache, a worker or the orchestrator is killed with SIGKILL on the way.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "absl/strings/match.h"
#include "common/base/file.h"
#include "common/spec/job_file.h"
#include "tests/e2e/orchestrator_process.h"
#include "tests/e2e/proof_scene.h"

namespace reflux {
namespace {

constexpr int kSteps = 6;

struct Outcome {
  std::string weights;                    // bytes of student.safetensors
  std::map<int64_t, std::string> losses;  // step -> the loss terms as written
  int restarts = 0;
};

class KillTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = testing::TempDir() + "reflux_kill";
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", 8);
    WriteProofTeacher(root_ + "/teacher.safetensors", "deeplabv3_resnet18");
    spec_ = new v1::JobSpec(
        ParseJob({.text = ProofYaml(
                      {.root = root_, .losses = "{kd: {}, i2ckd: {tap: aspp}}", .students = 2})})
            .value());
    undisturbed_ = new Outcome(Run("undisturbed", nullptr));
  }
  static void TearDownTestSuite() {
    delete undisturbed_;
    delete spec_;
    if (!HasFailure()) std::filesystem::remove_all(root_);
  }

  using Disturbance = std::function<void(OrchestratorProcess&, const v1::Job&)>;

  // Runs the job in a state folder of its own; disturbs it once when a random step has been done.
  static Outcome Run(const std::string& name, const Disturbance& disturb) {
    return Run(name, *spec_, disturb);
  }
  static Outcome Run(const std::string& name, const v1::JobSpec& spec, const Disturbance& disturb) {
    OrchestratorProcess orchestrator(root_ + "/" + name);
    const std::string id = orchestrator.Submit(spec).job_id();
    if (disturb) {
      const int64_t at = std::uniform_int_distribution<int64_t>(1, kSteps - 2)(random_);
      const v1::Job job =
          orchestrator.Await(id, [at](const v1::Job& j) { return j.progress().step() >= at; });
      std::printf("%s: SIGKILL after step %ld\n", name.c_str(),
                  static_cast<long>(job.progress().step()));
      disturb(orchestrator, job);
    }
    const v1::Job job = orchestrator.Await(id, IsFinal);
    EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.message();
    Outcome outcome{
        .weights = ReadFile(job.directory() + "/student.safetensors", 1 << 30).value_or(""),
        .losses = ReadLosses(job.directory() + "/metrics.jsonl"),
        .restarts = job.restarts()};
    EXPECT_FALSE(outcome.weights.empty());
    return outcome;
  }

  // The last generation's values win: an undone step is done again.
  static std::map<int64_t, std::string> ReadLosses(const std::string& path) {
    std::map<int64_t, std::string> losses;
    std::istringstream lines(ReadFile(path, 1 << 24).value_or(""));
    for (std::string line; std::getline(lines, line);) {
      const nlohmann::json record = nlohmann::json::parse(line);
      if (record.at("kind") == "step") losses[record.at("step")] = record.at("losses").dump();
    }
    return losses;
  }

  static void KillRole(const v1::Job& job, const std::string& role) {
    const v1::Process process = FindProcess(job, role);
    ASSERT_GT(process.pid(), 1) << "no " << role << " among the processes";
    ASSERT_EQ(kill(static_cast<pid_t>(process.pid()), SIGKILL), 0);
  }

  static void ExpectSameBits(const Outcome& outcome) {
    EXPECT_EQ(outcome.losses.size(), kSteps);
    EXPECT_EQ(outcome.losses, undisturbed_->losses);
    EXPECT_TRUE(outcome.weights == undisturbed_->weights) << "the final weights differ";
  }

  static std::string root_;
  static v1::JobSpec* spec_;
  static Outcome* undisturbed_;
  static std::mt19937 random_;
};

std::string KillTest::root_;
v1::JobSpec* KillTest::spec_ = nullptr;
Outcome* KillTest::undisturbed_ = nullptr;
std::mt19937 KillTest::random_{std::random_device{}()};

TEST_F(KillTest, Teacher) {
  ExpectSameBits(
      Run("teacher", [](OrchestratorProcess&, const v1::Job& job) { KillRole(job, "teacher/"); }));
}

// A job with two teachers loses one: the other takes over, and the bits stay those of one teacher.
TEST_F(KillTest, OneOfTwoTeachers) {
  v1::JobSpec spec = *spec_;
  spec.mutable_run()->set_teachers(2);
  ExpectSameBits(Run("pool", spec, [](OrchestratorProcess&, const v1::Job& job) {
    EXPECT_EQ(std::count_if(job.processes().begin(), job.processes().end(),
                            [](const v1::Process& process) {
                              return absl::StartsWith(process.role(), "teacher/");
                            }),
              2);
    KillRole(job, "teacher/");
  }));
}

TEST_F(KillTest, Cache) {
  ExpectSameBits(
      Run("cache", [](OrchestratorProcess&, const v1::Job& job) { KillRole(job, "cache/"); }));
}

TEST_F(KillTest, Worker) {
  const Outcome outcome =
      Run("worker", [](OrchestratorProcess&, const v1::Job& job) { KillRole(job, "worker/1"); });
  ExpectSameBits(outcome);
  EXPECT_EQ(outcome.restarts, 1);
}

TEST_F(KillTest, Orchestrator) {
  const Outcome outcome =
      Run("orchestrator", [](OrchestratorProcess& orchestrator, const v1::Job&) {
        orchestrator.Kill();
        orchestrator.Restart();
      });
  ExpectSameBits(outcome);
  EXPECT_EQ(outcome.restarts, 0) << "the restarted orchestrator disturbed the job";
}

}  // namespace
}  // namespace reflux
