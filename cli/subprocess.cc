#include "cli/subprocess.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"

namespace reflux {
namespace {

constexpr size_t kMaxOutput = size_t{1} << 20;

std::string ReadAll(int descriptor) {
  std::string text;
  char block[4096];
  ssize_t count = 0;
  while ((count = read(descriptor, block, sizeof(block))) > 0 || (count < 0 && errno == EINTR)) {
    if (count > 0 && text.size() < kMaxOutput) text.append(block, count);
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> OutputOf(const Execution& execution) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot run", execution.program);
  std::vector<char*> argv = {const_cast<char*>(execution.program.c_str())};
  for (const std::string& argument : execution.arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  // A command that waits has blocked Ctrl-C for itself; the child must not inherit that.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int error =
      posix_spawn(&child, execution.program.c_str(), &actions, &attributes, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(ends[1]);
  const std::string output = error == 0 ? ReadAll(ends[0]) : "";
  close(ends[0]);
  if (error != 0) {
    return absl::UnavailableError(ErrnoStatus(error, "cannot run", execution.program).message());
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return output;
  return absl::FailedPreconditionError(
      absl::StrCat(execution.program, " ended with ",
                   WIFEXITED(status) ? absl::StrCat("exit code ", WEXITSTATUS(status))
                                     : absl::StrCat("signal ", WTERMSIG(status))));
}

}  // namespace reflux
