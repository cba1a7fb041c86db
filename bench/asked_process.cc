#include "bench/asked_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<AskedProcess>> AskedProcess::Start(const std::string& command) {
  auto process = std::unique_ptr<AskedProcess>(new AskedProcess(command));
  REFLUX_RETURN_IF_ERROR(process->Run());
  return process;
}

absl::Status AskedProcess::Run() {
  signal(SIGPIPE, SIG_IGN);  // a process that ended is an error, not our end
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) {
    return absl::ErrnoToStatus(errno, "pipe");
  }
  pid_ = fork();
  if (pid_ < 0) return absl::ErrnoToStatus(errno, "fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // it must not outlive a benchmark that is killed
    signal(SIGPIPE, SIG_DFL);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", command_.c_str(), nullptr);
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  questions_ = fdopen(in[1], "w");
  answers_ = fdopen(out[0], "r");
  return absl::OkStatus();
}

AskedProcess::~AskedProcess() {
  if (questions_ != nullptr) fclose(questions_);
  if (answers_ != nullptr) fclose(answers_);
  if (pid_ > 0) waitpid(pid_, nullptr, 0);
}

absl::StatusOr<std::string> AskedProcess::Ask(const std::string& line) {
  char* answer = nullptr;
  size_t capacity = 0;
  const bool asked = fputs((line + "\n").c_str(), questions_) >= 0 && fflush(questions_) == 0;
  const ssize_t size = asked ? getline(&answer, &capacity, answers_) : -1;
  std::string text(size > 0 ? answer : "", size > 0 ? static_cast<size_t>(size) - 1 : 0);
  std::free(answer);
  if (size > 0) return text;
  return absl::UnavailableError("it ended, see its message: " + command_);
}

}  // namespace reflux
