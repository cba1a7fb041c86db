// The proof, second half: a job of two ranks over real processes goes on to the same weights when
// the teacher, the cache, a worker or the orchestrator is killed with SIGKILL on the way.
//
// PROOF_TEACHER=deeplabv3_resnet101 runs it with the full teacher (registered with label `slow`).
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "absl/strings/match.h"
#include "common/base/file.h"
#include "common/base/processor.h"
#include "common/spec/job_file.h"
#include "tests/e2e/orchestrator_process.h"
#include "tests/e2e/proof_scene.h"
#include "tests/integration/metrics/metrics_page.h"
#include "tests/support/folder_watch.h"

namespace reflux {
namespace {

// Three epochs of five steps. In the first two every target is new to the cache, in the third none
// is. A rank claims at most four batches (the prefetch depth) beyond the one that it trains on.
constexpr int kImages = 20, kSteps = 15;
// Kills up to these steps leave misses for the teacher, and batches for the cache, even if two more
// steps are done before they strike.
constexpr int kLastForTeacher = 2, kLastForCache = 7;

// What is distilled, and in which arithmetic.
struct Kind {
  const char* name;
  const char* losses;
  const char* precision;
};
constexpr Kind kKd = {"kd_fp32", "{kd: {}, i2ckd: {tap: aspp}}", "fp32"};
constexpr char kAll[] = "{kd: {}, i2ckd: {tap: aspp}, icsd: {schedule: alw, weight: 10}}";
// In bf16 where that does not take all day.
const Kind& EveryTerm() {
  static const Kind bf16 = {"all_bf16", kAll, "bf16"}, fp32 = {"all_fp32", kAll, "fp32"};
  return ComputesBf16Fast() ? bf16 : fp32;
}

struct Outcome {
  std::string weights;                    // bytes of student.safetensors
  std::map<int64_t, std::string> losses;  // step -> the loss terms as written
  int restarts = 0;
};

class KillTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* given = std::getenv("PROOF_TEACHER");
    const std::string teacher = given != nullptr ? given : "deeplabv3_resnet18";
    root_ = testing::TempDir() + "reflux_kill_" + teacher;
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    WriteProofImages(root_ + "/images", kImages);
    WriteProofTeacher(root_ + "/teacher.safetensors", teacher);
  }
  static void TearDownTestSuite() {
    undisturbed_.clear();
    if (!HasFailure()) std::filesystem::remove_all(root_);
  }

  static v1::JobSpec Spec(const Kind& kind) {
    v1::JobSpec spec = ParseJob({.text = ProofYaml({.root = root_,
                                                    .losses = kind.losses,
                                                    .precision = kind.precision,
                                                    .students = 2})})
                           .value();
    spec.mutable_train()->set_checkpoint_every(3);  // steps after it are done again
    return spec;
  }

  // What must hold when the job has ended, while its services still run.
  using Check = std::function<void()>;
  using Disturbance = std::function<Check(OrchestratorProcess&, const v1::Job&)>;

  // Runs the job in a state folder of its own; disturbs it once, after a random step from the first
  // to `last`.
  static Outcome Run(const std::string& name, const v1::JobSpec& spec, int last,
                     const Disturbance& disturb) {
    OrchestratorProcess orchestrator(root_ + "/" + name);
    const std::string id = orchestrator.Submit(spec).job_id();
    Check check;
    if (disturb) {
      const int at = std::uniform_int_distribution<int>(1, last)(random_);
      const v1::Job job = AwaitStep(orchestrator, root_ + "/" + name, id, at);
      std::printf("%s: SIGKILL after step %d\n", name.c_str(), at);
      check = disturb(orchestrator, job);
    }
    const v1::Job job = orchestrator.Await(id, IsFinal);
    EXPECT_EQ(job.state(), v1::JOB_STATE_SUCCEEDED) << job.message();
    if (check) check();
    Outcome outcome{
        .weights = ReadFile(job.directory() + "/student.safetensors", 1 << 30).value_or(""),
        .losses = ReadLosses(job.directory() + "/metrics.jsonl"),
        .restarts = job.restarts()};
    EXPECT_FALSE(outcome.weights.empty());
    return outcome;
  }

  // By the file that the first rank writes at each step: heartbeats tell of steps long gone.
  static v1::Job AwaitStep(OrchestratorProcess& orchestrator, const std::string& state,
                           const std::string& id, size_t step) {
    const std::string metrics = orchestrator.Get(id).directory() + "/metrics.jsonl";
    EXPECT_TRUE(FolderWatch(state).Await([&] { return ReadLosses(metrics).size() >= step; },
                                         absl::Minutes(5)));
    return orchestrator.Get(id);
  }

  // The last generation's values win: an undone step is done again.
  static std::map<int64_t, std::string> ReadLosses(const std::string& path) {
    std::map<int64_t, std::string> losses;
    std::istringstream lines(ReadFile(path, 1 << 24).value_or(""));
    for (std::string line; std::getline(lines, line) && !lines.eof();) {  // the last may be partial
      const nlohmann::json record = nlohmann::json::parse(line);
      if (record.at("kind") == "step") losses[record.at("step")] = record.at("losses").dump();
    }
    return losses;
  }

  // Returns what is killed: the first process whose role begins with `role`.
  static v1::Process KillRole(const v1::Job& job, const std::string& role) {
    const v1::Process process = FindProcess(job, role);
    EXPECT_GT(process.pid(), 1) << "no " << role << " among the processes";
    if (process.pid() > 1) {
      EXPECT_EQ(kill(static_cast<pid_t>(process.pid()), SIGKILL), 0);
    }
    return process;
  }

  // Kills it and waits until its successor has registered, which then must serve targets.
  static Check KillService(OrchestratorProcess& orchestrator, const v1::Job& job,
                           const std::string& role, const std::string& metric) {
    const v1::Process killed = KillRole(job, role);
    const v1::Job now = orchestrator.Await(job.job_id(), [&](const v1::Job& seen) {
      const v1::Process process = FindProcess(seen, killed.role());
      return process.restarts() >= 1 && process.state() == "running";
    });
    const v1::Process successor = FindProcess(now, killed.role());
    EXPECT_NE(successor.pid(), killed.pid());
    return [=] {
      EXPECT_GT(Served(successor, metric), 0) << "the kill of " << role << " disturbed nothing";
    };
  }

  // A counter of the process's /metrics page; -1 if it does not answer.
  static double Served(const v1::Process& process, const std::string& metric) {
    return ReadSample(Scrape(process.metrics_address()).value_or(""), metric).value_or(-1);
  }

  // As the run that nothing disturbed, which is made once for each kind.
  static void ExpectSameBits(const Kind& kind, const Outcome& outcome) {
    if (undisturbed_.count(kind.name) == 0) {
      undisturbed_[kind.name] =
          Run(std::string("undisturbed_") + kind.name, Spec(kind), 0, nullptr);
    }
    const Outcome& expected = undisturbed_.at(kind.name);
    EXPECT_EQ(outcome.losses.size(), kSteps);
    EXPECT_EQ(outcome.losses, expected.losses);
    EXPECT_TRUE(outcome.weights == expected.weights) << "the final weights differ";
  }

  static std::string root_;
  static std::map<std::string, Outcome> undisturbed_;  // by the kind's name
  static std::mt19937 random_;
};

std::string KillTest::root_;
std::map<std::string, Outcome> KillTest::undisturbed_;
std::mt19937 KillTest::random_{std::random_device{}()};

constexpr char kServedByTeacher[] = "reflux_teacher_served_targets_total";
constexpr char kServedByCache[] = "reflux_cache_served_targets_total";

TEST_F(KillTest, Teacher) {
  ExpectSameBits(kKd, Run("teacher", Spec(kKd), kLastForTeacher,
                          [](OrchestratorProcess& orchestrator, const v1::Job& job) {
                            return KillService(orchestrator, job, "teacher/", kServedByTeacher);
                          }));
}

// A job with two teachers loses one: the other takes over, and the bits stay those of one teacher.
TEST_F(KillTest, OneOfTwoTeachers) {
  v1::JobSpec spec = Spec(kKd);
  spec.mutable_run()->set_teachers(2);
  ExpectSameBits(kKd, Run("pool", spec, kLastForTeacher,
                          [](OrchestratorProcess& orchestrator, const v1::Job& job) -> Check {
                            std::vector<v1::Process> teachers;
                            std::copy_if(job.processes().begin(), job.processes().end(),
                                         std::back_inserter(teachers),
                                         [](const v1::Process& process) {
                                           return absl::StartsWith(process.role(), "teacher/");
                                         });
                            EXPECT_EQ(teachers.size(), 2);
                            const v1::Process killed = KillRole(job, "teacher/");
                            const v1::Process other = teachers.back();
                            EXPECT_NE(other.role(), killed.role());
                            const double before = Served(other, kServedByTeacher);
                            orchestrator.Await(job.job_id(), [&](const v1::Job& seen) {
                              return FindProcess(seen, killed.role()).restarts() >= 1;
                            });
                            return [=] {
                              EXPECT_GT(Served(other, kServedByTeacher), before)
                                  << "the other had nothing to take over";
                            };
                          }));
}

TEST_F(KillTest, Cache) {
  ExpectSameBits(kKd, Run("cache", Spec(kKd), kLastForCache,
                          [](OrchestratorProcess& orchestrator, const v1::Job& job) {
                            return KillService(orchestrator, job, "cache/", kServedByCache);
                          }));
}

// The student, the optimiser and the losses' own parameters come back from a checkpoint: with every
// kind of term.
TEST_F(KillTest, Worker) {
  const Outcome outcome = Run("worker", Spec(EveryTerm()), kSteps - 2,
                              [](OrchestratorProcess&, const v1::Job& job) -> Check {
                                KillRole(job, "worker/1");
                                return nullptr;
                              });
  ExpectSameBits(EveryTerm(), outcome);
  EXPECT_EQ(outcome.restarts, 1);
}

TEST_F(KillTest, Orchestrator) {
  const Outcome outcome = Run("orchestrator", Spec(kKd), kSteps - 2,
                              [](OrchestratorProcess& orchestrator, const v1::Job&) -> Check {
                                orchestrator.Kill();
                                orchestrator.Restart();
                                return nullptr;
                              });
  ExpectSameBits(kKd, outcome);
  EXPECT_EQ(outcome.restarts, 0) << "the restarted orchestrator disturbed the job";
}

}  // namespace
}  // namespace reflux
