// docs/metrics.md against live pages of the programs that start in a moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <regex>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/metrics/prometheus_registry.h"
#include "orchestrator/orchestrator_metrics.h"
#include "tests/integration/metrics/metrics_page.h"
#include "tests/support/raw_call.h"

extern char** environ;

namespace reflux {
namespace {

// A program with its log in a pipe; SIGTERM at the end.
class ChildProgram {
 public:
  explicit ChildProgram(std::vector<std::string> command) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    const int error =
        posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
    EXPECT_EQ(error, 0) << command[0];
    if (error != 0) pid_ = 0;
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    log_ = fdopen(ends[0], "r");
  }
  ~ChildProgram() {
    if (pid_ > 0) {
      kill(pid_, SIGTERM);
      waitpid(pid_, nullptr, 0);
    }
    fclose(log_);
  }
  // host:port of the page, from the log; empty if the program ended without it. Returns after the
  // line with `ready`, by which time everything is registered.
  std::string AwaitMetrics(const std::string& ready) {
    static const std::string before = "metrics at http://";
    std::string address;
    char line[4096];
    while (fgets(line, sizeof(line), log_) != nullptr) {
      const std::string text = line;
      seen_ += text;
      const size_t at = text.find(before);
      if (at != std::string::npos) {
        address = text.substr(at + before.size());
        address = address.substr(0, address.find('/'));
      }
      if (text.find(ready) != std::string::npos) return address;
    }
    return "";
  }
  const std::string& seen() const { return seen_; }
  // host:port of its gRPC services, from the line that AwaitMetrics waited for.
  std::string address() const {
    static const auto& pattern = *new std::regex(" (serves|listens) on ([0-9.]+:[0-9]+)");
    std::smatch match;
    return std::regex_search(seen_, match, pattern) ? match[2].str() : "";
  }

 private:
  pid_t pid_ = 0;
  FILE* log_ = nullptr;
  std::string seen_;
};

class ProgramMetricsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        absl::StrCat(std::filesystem::absolute(testing::TempDir()).string(), "/metrics-", getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(ProgramMetricsTest, TheCachesPageIsTheDocuments) {
  ChildProgram cache({CACHE, "--dir", folder_ + "/cache", "--teacher", "127.0.0.1:1",
                      "--metrics-listen", "127.0.0.1:0"});
  const std::string address = cache.AwaitMetrics(" serves on ");
  ASSERT_FALSE(address.empty()) << cache.seen();
  const auto page = Scrape(address);
  ASSERT_TRUE(page.ok()) << page.status();
  const auto documented = ReadDocumented("reflux-cache");
  ASSERT_TRUE(documented.ok()) << documented.status();
  EXPECT_EQ(ParsePage(*page), *documented);
}

TEST_F(ProgramMetricsTest, TheOrchestratorsPageIsInTheDocument) {
  ChildProgram orchestrator({ORCHESTRATOR, "--state", folder_ + "/state", "--bin-dir",
                             std::filesystem::path(ORCHESTRATOR).parent_path().string(),
                             "--metrics-listen", "127.0.0.1:0"});
  const std::string address = orchestrator.AwaitMetrics(" listens on ");
  ASSERT_FALSE(address.empty()) << orchestrator.seen();
  const auto page = Scrape(address);
  ASSERT_TRUE(page.ok()) << page.status();
  const auto documented = ReadDocumented("reflux-orchestrator");
  ASSERT_TRUE(documented.ok()) << documented.status();
  const MetricLines shown = ParsePage(*page);
  EXPECT_THAT(shown, testing::IsSubsetOf(*documented));
  EXPECT_THAT(shown, testing::Contains("reflux_orchestrator_jobs gauge state"));
}

TEST_F(ProgramMetricsTest, ProgramsTellTheirHealthAndTheirServices) {
  ChildProgram cache({CACHE, "--dir", folder_ + "/cache", "--metrics-listen", "127.0.0.1:0"});
  ASSERT_FALSE(cache.AwaitMetrics(" serves on ").empty()) << cache.seen();
  EXPECT_EQ(IsServing(cache.address()).value(), true);
  const std::string services = ListedServices(cache.address()).value();
  EXPECT_THAT(services, testing::HasSubstr("reflux.v1.TargetService"));
  EXPECT_THAT(services, testing::HasSubstr("reflux.v1.CacheAdminService"));

  ChildProgram orchestrator({ORCHESTRATOR, "--state", folder_ + "/state", "--bin-dir",
                             std::filesystem::path(ORCHESTRATOR).parent_path().string(),
                             "--metrics-listen", "127.0.0.1:0"});
  ASSERT_FALSE(orchestrator.AwaitMetrics(" listens on ").empty()) << orchestrator.seen();
  EXPECT_EQ(IsServing(orchestrator.address()).value(), true);
  EXPECT_THAT(ListedServices(orchestrator.address()).value(),
              testing::HasSubstr("reflux.v1.JobService"));
}

TEST(PrometheusRegistryTest, APortInUseIsAClearError) {
  const auto first = PrometheusRegistry::Start("127.0.0.1:0");
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string address = (*first)->address();
  const absl::Status second = PrometheusRegistry::Start(address).status();
  EXPECT_TRUE(absl::IsAlreadyExists(second));
  EXPECT_EQ(second.message(), "metrics: cannot listen on " + address +
                                  ": the port is in use or not permitted; choose another, or port "
                                  "0 for any free one");
  EXPECT_TRUE(absl::IsInvalidArgument(PrometheusRegistry::Start("nowhere").status()));
}

// With a job, which the program above has none of.
TEST_F(ProgramMetricsTest, TheOrchestratorsJobMetricsAreTheDocuments) {
  const auto registry = PrometheusRegistry::Start("127.0.0.1:0");
  ASSERT_TRUE(registry.ok()) << registry.status();
  OrchestratorMetrics metrics(registry->get());
  metrics.SetJobs(v1::JOB_STATE_RUNNING, 1);
  metrics.SetProcesses(4);
  store::JobRecord job;
  job.set_job_id("job-1");
  (*job.mutable_progress()->mutable_losses())["kd"] = 0.5;
  job.mutable_progress()->add_class_iou(40);
  job.mutable_progress()->set_top1(70);  // no job has both
  job.mutable_progress()->set_top5(90);
  metrics.SetProgress(job);
  const auto page = Scrape((*registry)->address());
  ASSERT_TRUE(page.ok()) << page.status();
  const auto documented = ReadDocumented("reflux-orchestrator");
  ASSERT_TRUE(documented.ok()) << documented.status();
  EXPECT_EQ(ParsePage(*page), *documented);
}

TEST(MetricsPageTest, APageIsReadWithTypesAndLabels) {
  const std::string page =
      "# HELP reflux_a_total A\n# TYPE reflux_a_total counter\n"
      "reflux_a_total{rank=\"0\",term=\"kd\"} 1\n"
      "# TYPE reflux_b_seconds histogram\nreflux_b_seconds_count 0\n"
      "reflux_b_seconds_bucket{le=\"+Inf\"} 0\n"
      "# TYPE exposer_scrapes_total counter\nexposer_scrapes_total 1\n";
  EXPECT_THAT(ParsePage(page, {"rank"}),
              testing::ElementsAre("reflux_a_total counter term", "reflux_b_seconds histogram "));
}

}  // namespace
}  // namespace reflux
