// Ctrl-C at a real `reflux run`: the same command goes on to the bytes of a run that nothing
// interrupted; and what a person's shell sees of how it ended.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "tests/e2e/program.h"
#include "tests/e2e/proof_scene.h"
#include "tests/support/folder_watch.h"

extern char** environ;

namespace reflux {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class InterruptedRunTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(WriteProofScene(root_, 8, "deeplabv3_resnet18")); }
  void TearDown() override {
    if (!HasFailure()) std::filesystem::remove_all(root_);
  }

  // Eight steps; each has a line in the log.
  std::vector<std::string> Command(const std::string& folder) const {
    return {"run",   job_,
            "--set", "train.epochs=4",
            "--set", "data.crop=[64,96]",
            "--dir", root_ + "/" + folder};
  }
  std::string Said() const { return ReadFile(said_, 1 << 24).value_or(""); }

  pid_t Start(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), absl::StrCat(std::getenv("REFLUX_BIN"), "/reflux"));
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, said_.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&files);
    return pid;
  }

  // Interrupts a run of `folder` once it has said `sign`.
  ShellOutput Interrupt(const std::string& folder, const std::string& sign) {
    std::filesystem::remove(said_);
    const pid_t pid = Start(Command(folder));
    EXPECT_TRUE(FolderWatch(root_).Await([&] { return absl::StrContains(Said(), sign); },
                                         absl::Minutes(3)));
    kill(pid, SIGINT);
    int status = 0;
    waitpid(pid, &status, 0);
    return {.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .text = Said()};
  }

  ShellOutput RunToTheEnd(const std::string& folder) const {
    return RunReflux(absl::StrJoin(Command(folder), " "));
  }
  std::string Student(const std::string& folder) const {
    return ReadFile(absl::StrCat(root_, "/", folder, "/student.safetensors"), 1 << 28).value_or("");
  }

  const std::string root_ = testing::TempDir() + "reflux_interrupted_run";
  const std::string job_ = root_ + "/job.yaml", said_ = root_ + "/said.txt";
};

TEST_F(InterruptedRunTest, GoesOnToTheSameBytes) {
  ShellOutput output = RunToTheEnd("whole");
  ASSERT_EQ(output.exit_code, kExitDone) << output.text;
  for (const std::string sign : {"evaluating", "step 3/8"}) {
    output = Interrupt("parts", sign);
    EXPECT_EQ(output.exit_code, kExitStopped) << output.text;
    EXPECT_THAT(output.text, HasSubstr("stopping; resumable"));
    EXPECT_THAT(output.text, HasSubstr("the same command goes on"));
    EXPECT_EQ(Student("parts"), "");
  }
  output = RunToTheEnd("parts");
  EXPECT_EQ(output.exit_code, kExitDone) << output.text;
  EXPECT_THAT(output.text, Not(HasSubstr("step 3/8"))) << "it began anew";
  EXPECT_TRUE(Student("parts") == Student("whole")) << "the weights differ";
}

TEST_F(InterruptedRunTest, WhatFailedIsOneExitCode) {
  const ShellOutput output = RunReflux(absl::StrJoin(Command("bad"), " ") +
                                       absl::StrCat(" --set data.root=", root_, "/none"));
  EXPECT_EQ(output.exit_code, kExitFailed) << output.text;
  EXPECT_THAT(output.text, HasSubstr(root_ + "/none"));
}

}  // namespace
}  // namespace reflux
