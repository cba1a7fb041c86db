#include "cli/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "tests/unit/cli/fake_servers.h"

namespace reflux {
namespace {

using ::testing::HasSubstr;

std::shared_ptr<Cancellation> NoSignals() { return std::make_shared<Cancellation>(); }

int RunLine(const std::vector<std::string>& arguments, Captured& captured) {
  return RunCommandLine(arguments, captured.terminal, &NoSignals);
}

TEST(CommandLineTest, HelpNamesTheCommandsAndIsNotAnError) {
  Captured captured;
  EXPECT_EQ(RunLine({"--help"}, captured), kExitDone);
  for (const std::string command : {"validate", "explain", "run", "submit", "ps", "watch", "eval",
                                    "describe", "logs", "cancel", "targets", "cache", "inspect", "models"}) {
    EXPECT_THAT(captured.out.str(), HasSubstr("\n  " + command));
  }
}

TEST(CommandLineTest, HelpTellsTheExitCodes) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"--help"}, {"run", "--help"}}) {
    Captured captured;
    EXPECT_EQ(RunLine(arguments, captured), kExitDone);
    for (const int code : {kExitDone, kExitFailed, kExitUsage, kExitStopped}) {
      EXPECT_THAT(captured.out.str(), HasSubstr(" " + std::to_string(code) + " "));
    }
    EXPECT_THAT(captured.out.str(), HasSubstr(" 130 "));
  }
}

TEST(CommandLineTest, BadCommandLinesAreUsageErrors) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {}, {"nonsense"}, {"watch"}, {"cache"}, {"targets", "rm"}, {"submit", "a", "b"}}) {
    Captured captured;
    EXPECT_EQ(RunLine(arguments, captured), kExitUsage);
    EXPECT_NE(captured.err.str(), "");
    EXPECT_EQ(captured.out.str(), "");
  }
}

TEST(CommandLineTest, PlannedCommandsSayThatTheyAreNotAvailable) {
  for (const std::string command :
       {"doctor", "context", "pause", "resume", "retry", "report", "teachers ls"}) {
    std::vector<std::string> arguments = absl::StrSplit(command, ' ');
    arguments.push_back("job-1");
    Captured captured;
    EXPECT_EQ(RunLine(arguments, captured), kExitUsage);
    EXPECT_THAT(captured.err.str(),
                testing::StartsWith("reflux " + command + ": not available in this version;"));
    EXPECT_THAT(captured.err.str(), HasSubstr("--help\n"));
    EXPECT_EQ(captured.out.str(), "");
    Captured help;
    RunLine({"--help"}, help);
    EXPECT_THAT(help.out.str(), testing::Not(HasSubstr("\n  " + command)));
  }
}

TEST(CommandLineTest, VersionNamesTheBuild) {
  Captured captured;
  EXPECT_EQ(RunLine({"--version"}, captured), kExitDone);
  EXPECT_EQ(captured.out.str(), std::string(BuildVersion()) + "\n");
}

TEST(CommandLineTest, ServerAndJsonReachTheCommand) {
  FakeServers servers;
  Captured captured;
  EXPECT_EQ(RunLine({"ps", "--server", servers.address(), "--json"}, captured), kExitDone);
  EXPECT_THAT(captured.out.str(), HasSubstr("\"job_id\": \"job-1\""));
}

TEST(CommandLineTest, WithoutACacheThoseOfTheOrchestratorAreAsked) {
  FakeServers servers;
  v1::Process& cache = *servers.jobs.described.add_processes();
  cache.set_role("cache/lab/9f3c01ab");
  cache.set_state("running");
  cache.set_address(servers.address());
  servers.cache.stats.set_directory("/caches/lab");
  servers.teacher.info.set_model("deeplabv3_resnet101");
  Captured captured;
  EXPECT_EQ(RunLine({"cache", "stats", "--server", servers.address()}, captured), kExitDone);
  EXPECT_THAT(captured.out.str(), HasSubstr("/caches/lab\n"));
  EXPECT_EQ(RunLine({"targets", "ls", "--server", servers.address()}, captured), kExitDone);
  EXPECT_EQ(RunLine({"teachers", "info", "--server", servers.address()}, captured), kExitFailed);
  EXPECT_THAT(captured.err.str(), HasSubstr("runs no teacher now; name one with --teacher"));
  EXPECT_EQ(RunLine({"teachers", "info", "--teacher", servers.address()}, captured), kExitDone);
  EXPECT_THAT(captured.out.str(), HasSubstr("deeplabv3_resnet101"));
}

TEST(CommandLineTest, SetMayStandBeforeTheFileAndMoreThanOnce) {
  Captured captured;
  EXPECT_EQ(RunLine({"validate", "--set", "a=1", "--set", "b=2", "/none.yaml"}, captured), kExitFailed);
  EXPECT_THAT(captured.err.str(), HasSubstr("/none.yaml"));
}

TEST(CommandLineTest, RecipesAreListedAndShown) {
  Captured list, show, none;
  EXPECT_EQ(RunLine({"recipes"}, list), kExitDone);
  EXPECT_THAT(list.out.str(), HasSubstr("\nafdcd-camvid-r18 "));
  EXPECT_THAT(list.out.str(), HasSubstr("  I2CKD's prototype triplets"));
  EXPECT_EQ(RunLine({"recipes", "show", "icsd-camvid-r18"}, show), kExitDone);
  EXPECT_THAT(show.out.str(), HasSubstr("\n  icsd: {weight: 10, form: full"));
  EXPECT_EQ(RunLine({"recipes", "show", "nothing"}, none), kExitFailed);
  EXPECT_THAT(none.err.str(), HasSubstr("there are: afdcd-"));
}

TEST(CommandLineTest, ModelCommandsSayWhenTheirProgramIsMissing) {
  Captured captured;
  EXPECT_EQ(RunLine({"inspect", "--anything"}, captured), kExitFailed);
  EXPECT_THAT(captured.err.str(), HasSubstr("reflux-model is not there"));
}

}  // namespace
}  // namespace reflux
