#include "orchestrator/supervise/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/boot_id.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "orchestrator/process/proc.h"
#include "orchestrator/process/process_record.h"

namespace reflux {
namespace {

absl::Time MonotonicNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::TimeFromTimespec(now);
}

sigset_t WatchedSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

class Supervisor {
 public:
  explicit Supervisor(const SupervisorOptions& options)
      : options_(options), launch_id_(std::filesystem::path(options.record).filename()) {}

  absl::Status Run() {
    REFLUX_RETURN_IF_ERROR(Isolate());
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make", "a pipe");
    supervisor_ = getpid();
    child_ = fork();
    if (child_ < 0) return ErrnoStatus(errno, "cannot fork for", options_.command[0]);
    if (child_ == 0) BecomeProgram(gate);
    close(gate[0]);
    setpgid(child_, child_);
    const absl::Status claimed = ClaimProcessRecord(options_.record, Describe());
    if (!claimed.ok()) {  // the closed gate ends the child before it starts the program
      close(gate[1]);
      waitpid(child_, nullptr, 0);
      return claimed;
    }
    if (write(gate[1], "g", 1) != 1) return ErrnoStatus(errno, "cannot start", launch_id_);
    close(gate[1]);
    Watch();
    KillDescendants();
    return WriteExitRecord(options_.record, exit_);
  }

 private:
  absl::Status Isolate() {
    setsid();  // fails only if we lead a session already
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) {
      return ErrnoStatus(errno, "cannot become subreaper for", launch_id_);
    }
    const sigset_t watched = WatchedSignals();
    sigprocmask(SIG_BLOCK, &watched, nullptr);
    const int log =
        open(options_.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) return ErrnoStatus(errno, "cannot open", options_.log_file);
    const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    return absl::OkStatus();
  }

  [[noreturn]] void BecomeProgram(const int (&gate)[2]) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != supervisor_) _exit(kExitFailed);  // it died before the line above
    setpgid(0, 0);
    close(gate[1]);
    char go;
    if (read(gate[0], &go, 1) != 1) _exit(kExitFailed);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    setenv(kLaunchVariable, options_.record.c_str(), 1);
    std::vector<char*> arguments;
    for (const std::string& argument : options_.command) {
      arguments.push_back(const_cast<char*>(argument.c_str()));
    }
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    std::fprintf(stderr, "reflux-supervise: cannot execute %s: %s\n", arguments[0],
                 std::strerror(errno));
    _exit(kPermanentFailure);
  }

  ProcessRecord Describe() const {
    return {.launch_id = launch_id_,
            .boot_id = BootId(),
            .supervisor_pid = supervisor_,
            .supervisor_start = ProcessStartTime(supervisor_).value_or(0),
            .pid = child_,
            .start_time = ProcessStartTime(child_).value_or(0)};
  }

  // Until the program has ended.
  void Watch() {
    const absl::Duration poll =
        std::clamp(options_.orphan_timeout / 4, absl::Milliseconds(20), absl::Seconds(5));
    const sigset_t watched = WatchedSignals();
    renewed_ = MonotonicNow();
    while (!Reap()) {
      const absl::Time now = MonotonicNow();
      if (!stopping_ && LeaseExpired(now)) BeginStop("orphaned", SIGTERM, options_.grace);
      if (stopping_ && now >= kill_at_) {
        kill(-child_, SIGKILL);
        kill_at_ = absl::InfiniteFuture();
      }
      const absl::Duration pause = std::max(std::min(poll, kill_at_ - now), absl::Milliseconds(1));
      const timespec timeout = absl::ToTimespec(pause);
      HandleSignal(sigtimedwait(&watched, nullptr, &timeout));
    }
  }

  void HandleSignal(int signal) {
    if (signal == SIGTERM || signal == SIGINT) BeginStop("stopped", SIGTERM, options_.grace);
    if (signal == SIGUSR1) {
      BeginStop("stopped", SIGTERM, std::min(options_.grace, options_.hurried_grace));
    }
    if (signal == SIGQUIT) BeginStop("stopped", SIGKILL, options_.grace);
  }

  // Again while stopping: only ever sooner.
  void BeginStop(const char* cause, int signal, absl::Duration grace) {
    if (!stopping_) exit_.cause = cause;
    if (!stopping_ || signal == SIGKILL) kill(-child_, signal);
    // A stopped process receives SIGTERM only when it goes on.
    if (!stopping_) kill(-child_, SIGCONT);
    stopping_ = true;
    kill_at_ = std::min(kill_at_, MonotonicNow() + grace);
  }

  bool LeaseExpired(absl::Time now) {
    struct stat info;
    if (stat(options_.lease_file.c_str(), &info) == 0) {
      const absl::Time changed = absl::TimeFromTimespec(info.st_mtim);
      if (changed != lease_) renewed_ = now;
      lease_ = changed;
    }
    return now - renewed_ >= options_.orphan_timeout;
  }

  // True when the program has ended. Reaps adopted descendants too.
  bool Reap() {
    bool ended = false;
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid != child_) continue;
      ended = true;
      exit_.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      exit_.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }
    return ended;
  }

  // A killed process hands its children to us, so that the loop ends with the last of them.
  void KillDescendants() {
    do {
      for (pid_t pid : ChildrenOf(supervisor_)) kill(pid, SIGKILL);
    } while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR);
  }

  const SupervisorOptions& options_;
  const std::string launch_id_;
  pid_t supervisor_ = 0;
  pid_t child_ = 0;
  bool stopping_ = false;
  absl::Time kill_at_ = absl::InfiniteFuture();
  absl::Time renewed_;
  absl::Time lease_;
  ExitRecord exit_ = {.cause = "exited"};
};

}  // namespace

absl::Status SupervisorOptions::Validate() const {
  if (record.empty() || lease_file.empty() || log_file.empty()) {
    return absl::InvalidArgumentError("--record, --lease and --log are needed");
  }
  if (command.empty()) return absl::InvalidArgumentError("no program after `--`");
  if (orphan_timeout <= absl::ZeroDuration() || grace < absl::ZeroDuration()) {
    return absl::InvalidArgumentError("--orphan-timeout must be positive, --grace not negative");
  }
  return absl::OkStatus();
}

absl::Status Supervise(const SupervisorOptions& options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return Supervisor(options).Run();
}

}  // namespace reflux
