#include "bench/child_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    std::vector<std::string> arguments, const std::string& endpoint_file) {
  std::vector<char*> words;
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);  // it must not outlive a benchmark that is killed
    execv(words[0], words.data());
    _exit(127);
  }
  auto process = std::unique_ptr<ChildProcess>(new ChildProcess(pid));
  REFLUX_RETURN_IF_ERROR(process->AwaitAddress(arguments[0], endpoint_file));
  return process;
}

absl::Status ChildProcess::AwaitAddress(const std::string& program,
                                        const std::string& endpoint_file) {
  const absl::Time limit = absl::Now() + absl::Minutes(1);
  while (absl::Now() < limit) {
    const absl::StatusOr<std::string> address = ResolveEndpoint("@" + endpoint_file);
    if (address.ok()) {
      address_ = *address;
      return absl::OkStatus();
    }
    ended_ = waitpid(pid_, nullptr, WNOHANG) == pid_;
    if (ended_) return absl::UnavailableError(program + " ended at once, see its message");
    absl::SleepFor(absl::Milliseconds(20));  // a file of another process: nothing notifies us
  }
  return absl::UnavailableError(program + " does not serve after a minute");
}

ChildProcess::~ChildProcess() {
  if (ended_) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

double ChildProcess::CpuSeconds() const {
  clockid_t clock;
  timespec used{};
  if (clock_getcpuclockid(pid_, &clock) != 0 || clock_gettime(clock, &used) != 0) return 0;
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

int64_t ChildProcess::AnonymousBytes() const {
  std::ifstream status(absl::StrCat("/proc/", pid_, "/status"));
  for (std::string word; status >> word;) {
    int64_t kib = 0;
    if (word == "RssAnon:" && status >> kib) return kib << 10;
  }
  return 0;
}

}  // namespace reflux
