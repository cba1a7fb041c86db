#include "orchestrator/local_launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/boot_id.h"
#include "common/base/file.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "orchestrator/process/proc.h"
#include "orchestrator/process/process_record.h"

extern char** environ;

namespace reflux {
namespace {

constexpr int kGone = -1;

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// The caller's signal mask and descriptors must not leak into the supervisor: stop signals are held
// back until it handles them, everything else is as after boot.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t held, all;
  sigemptyset(&held);
  for (int signal : {SIGTERM, SIGINT, SIGQUIT, SIGUSR1}) sigaddset(&held, signal);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &held);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, arguments[0], &files, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return ErrnoStatus(error, "cannot start", command[0]);
  return pid;
}

// Kills what belongs to the launch and waits for its end, at most a few seconds.
void KillStrays(const std::string& record) {
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (absl::Now() < deadline) {
    const std::vector<pid_t> strays = ProcessesOfLaunch(record);
    if (strays.empty()) return;
    for (pid_t pid : strays) {
      const Fd handle(PidfdOpen(pid));
      if (handle.get() < 0) continue;
      PidfdSignal(handle.get(), SIGKILL);
      pollfd ended = {.fd = handle.get(), .events = POLLIN};
      poll(&ended, 1, 1000);
    }
  }
}

class LocalLauncher : public Launcher {
 public:
  explicit LocalLauncher(const LocalLauncherOptions& options)
      : options_(options), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    thread_ = std::thread([this] { Run(); });
  }

  ~LocalLauncher() override {
    {
      MutexLock lock(mutex_);
      ending_ = true;
    }
    Wake();
    thread_.join();
  }

  void SetOnExit(std::function<void(const ProcessExit&)> on_exit) override {
    MutexLock lock(mutex_);
    on_exit_ = std::move(on_exit);
  }

  absl::Status Start(const LaunchSpec& launch) override {
    if (access(launch.program.c_str(), X_OK) != 0) {
      return ErrnoStatus(errno, "cannot run", launch.program);
    }
    std::error_code error;
    std::filesystem::create_directories(launch.record_dir, error);
    std::filesystem::create_directories(std::filesystem::path(launch.log_file).parent_path(),
                                        error);
    const std::string record = absl::StrCat(launch.record_dir, "/", launch.launch_id);
    std::vector<std::string> command = {
        options_.supervisor,
        "--record",
        record,
        "--lease",
        options_.lease_file,
        "--orphan-timeout",
        absl::StrCat(absl::ToDoubleSeconds(options_.orphan_timeout)),
        "--grace",
        absl::StrCat(absl::ToDoubleSeconds(options_.grace)),
        "--log",
        launch.log_file,
        "--",
        launch.program};
    command.insert(command.end(), launch.arguments.begin(), launch.arguments.end());
    // Held until the process is in the table: its end cannot be missed.
    MutexLock lock(mutex_);
    REFLUX_ASSIGN_OR_RETURN(const pid_t pid, Spawn(command));
    // Our own child, not yet waited for: the pid cannot be another's.
    processes_[launch.launch_id] = {Fd(PidfdOpen(pid)), record};
    Wake();
    return absl::OkStatus();
  }

  void Adopt(const std::string& launch_id, const std::string& record_dir) override {
    const std::string record = absl::StrCat(record_dir, "/", launch_id);
    Fd handle = FindOrRuleOut(launch_id, record);
    MutexLock lock(mutex_);
    processes_[launch_id] = {std::move(handle), record};
    Wake();
  }

  void Stop(const std::string& launch_id, StopMode mode) override {
    MutexLock lock(mutex_);
    const auto found = processes_.find(launch_id);
    if (found == processes_.end() || found->second.handle.get() == kGone) return;
    const int signal = mode == StopMode::kGraceful  ? SIGTERM
                       : mode == StopMode::kHurried ? SIGUSR1
                                                    : SIGQUIT;
    PidfdSignal(found->second.handle.get(), signal);
  }

 private:
  struct Supervised {
    Fd handle;  // of the supervisor; kGone when it has ended
    std::string record;
  };

  // The living supervisor of the launch, or kGone; then it will never start either.
  static Fd FindOrRuleOut(const std::string& launch_id, const std::string& record) {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(record).parent_path(), error);
    // Fails when the record exists, which is the usual case.
    (void)ClaimProcessRecord(record, {.launch_id = launch_id, .boot_id = BootId()});
    const auto found = ReadProcessRecord(record);
    if (!found.ok() || found->supervisor_pid == 0 || found->boot_id != BootId()) return Fd(kGone);
    Fd handle(PidfdOpen(found->supervisor_pid));
    // Asked after the descriptor is open: from here on it is this process or none.
    const auto start = ProcessStartTime(found->supervisor_pid);
    if (handle.get() < 0 || !start.ok() || *start != found->supervisor_start) return Fd(kGone);
    return handle;
  }

  void Run() {
    const absl::Duration renewal =
        std::clamp(options_.orphan_timeout / 10, absl::Milliseconds(10), absl::Seconds(5));
    while (true) {
      utimensat(AT_FDCWD, options_.lease_file.c_str(), nullptr, 0);
      for (const auto& [launch_id, record] : Ended(renewal)) Report(launch_id, record);
      MutexLock lock(mutex_);
      if (ending_) return;
    }
  }

  // Waits up to `timeout` and takes those that have ended out of the table.
  std::vector<std::pair<std::string, std::string>> Ended(absl::Duration timeout) {
    std::vector<pollfd> watched = {{.fd = wake_.get(), .events = POLLIN}};
    std::vector<std::string> ids = {""};
    bool gone = false;
    {
      MutexLock lock(mutex_);
      for (const auto& [launch_id, process] : processes_) {
        gone |= process.handle.get() == kGone;
        watched.push_back({.fd = process.handle.get(), .events = POLLIN});
        ids.push_back(launch_id);
      }
    }
    poll(watched.data(), watched.size(), gone ? 0 : absl::ToInt64Milliseconds(timeout));
    uint64_t ignored;
    (void)!read(wake_.get(), &ignored, sizeof(ignored));
    std::vector<std::pair<std::string, std::string>> ended;
    MutexLock lock(mutex_);
    for (size_t i = 1; i < watched.size(); ++i) {
      if (watched[i].fd != kGone && (watched[i].revents & POLLIN) == 0) continue;
      // Reaps our own children; an adopted supervisor is init's.
      siginfo_t info;
      if (watched[i].fd != kGone) {
        waitid(P_PIDFD, watched[i].fd, &info, WEXITED | WNOHANG);
      }
      auto node = processes_.extract(ids[i]);
      ended.emplace_back(ids[i], node.mapped().record);
    }
    return ended;
  }

  void Report(const std::string& launch_id, const std::string& record) {
    ProcessExit exit = {.launch_id = launch_id};
    if (const auto status = ReadExitRecord(record); status.ok()) {
      exit.exit_code = status->exit_code;
      exit.signal = status->signal;
      exit.cause = status->cause;
    } else {
      const auto started = ReadProcessRecord(record);
      exit.cause = started.ok() && started->supervisor_pid != 0 ? "lost" : "never started";
      KillStrays(record);
    }
    std::function<void(const ProcessExit&)> on_exit;
    {
      MutexLock lock(mutex_);
      if (!ending_) on_exit = on_exit_;
    }
    if (on_exit) on_exit(exit);
  }

  void Wake() {
    const uint64_t one = 1;
    (void)!write(wake_.get(), &one, sizeof(one));
  }

  const LocalLauncherOptions options_;
  const Fd wake_;
  Mutex mutex_;
  bool ending_ REFLUX_GUARDED_BY(mutex_) = false;
  std::function<void(const ProcessExit&)> on_exit_ REFLUX_GUARDED_BY(mutex_);
  std::map<std::string, Supervised> processes_ REFLUX_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Launcher>> MakeLocalLauncher(const LocalLauncherOptions& options) {
  if (access(options.supervisor.c_str(), X_OK) != 0) {
    return ErrnoStatus(errno, "cannot run", options.supervisor);
  }
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(options.lease_file).parent_path(),
                                      error);
  const Fd lease(open(options.lease_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (lease.get() < 0) return ErrnoStatus(errno, "cannot create", options.lease_file);
  return std::make_unique<LocalLauncher>(options);
}

}  // namespace reflux
