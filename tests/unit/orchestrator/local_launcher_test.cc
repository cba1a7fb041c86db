// The local launcher and the real supervisor with real processes.
#include "orchestrator/local_launcher.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/boot_id.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/base/mutex.h"
#include "orchestrator/process/proc.h"
#include "orchestrator/process/process_record.h"
#include "tests/support/folder_watch.h"

namespace reflux {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

// A zombie that init has not reaped yet does not run.
bool Runs(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string stat((std::istreambuf_iterator<char>(file)), {});
  return !stat.empty() && !absl::StrContains(stat, ") Z ") && !absl::StrContains(stat, ") X ");
}

class Exits {
 public:
  std::function<void(const ProcessExit&)> Callback() {
    return [this](const ProcessExit& exit) {
      MutexLock lock(mutex_);
      exits_.emplace(exit.launch_id, exit);
      changed_.NotifyAll();
    };
  }
  ProcessExit Await(const std::string& launch_id) {
    const absl::Time deadline = absl::Now() + kPatience;
    MutexLock lock(mutex_);
    while (!exits_.contains(launch_id) && absl::Now() < deadline) {
      changed_.WaitUntil(mutex_, deadline);
    }
    EXPECT_EQ(exits_.count(launch_id), 1u) << launch_id << " did not end";
    const auto found = exits_.find(launch_id);
    return found == exits_.end() ? ProcessExit{} : found->second;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::multimap<std::string, ProcessExit> exits_ REFLUX_GUARDED_BY(mutex_);
};

class LocalLauncherTest : public testing::Test {
 protected:
  void SetUp() override {
    static std::atomic<int> count{0};
    folder_ = absl::StrCat(std::filesystem::absolute(testing::TempDir()).string(), "/launcher-",
                           getpid(), "-", count++);
    std::filesystem::create_directories(folder_);
    options_ = {.supervisor = SUPERVISOR,
                .lease_file = folder_ + "/lease",
                .orphan_timeout = absl::Seconds(60),
                .grace = absl::Seconds(20)};
    Restart();
  }
  void TearDown() override {
    for (const std::string& id : started_) launcher_->Stop(id, StopMode::kKill);
    launcher_ = nullptr;
    for (const std::string& id : started_) {
      EXPECT_TRUE(PollOutside([&] { return ProcessesOfLaunch(Record(id)).empty(); }, kPatience))
          << id;
    }
    std::filesystem::remove_all(folder_);
  }
  // As after kill -9 of the orchestrator: the old launcher's knowledge is gone.
  void Restart() {
    launcher_ = nullptr;
    launcher_ = MakeLocalLauncher(options_).value();
    launcher_->SetOnExit(exits_.Callback());
  }
  std::string Start(const std::string& name, const std::vector<std::string>& arguments) {
    const std::string id = absl::StrCat(name, ".", started_.size());
    const absl::Status status = launcher_->Start({.launch_id = id,
                                                  .record_dir = folder_ + "/processes",
                                                  .log_file = Log(id),
                                                  .program = CHILD_PROGRAM,
                                                  .arguments = arguments});
    EXPECT_TRUE(status.ok()) << status;
    started_.push_back(id);
    return id;
  }
  std::string Log(const std::string& id) { return absl::StrCat(folder_, "/logs/", id, ".log"); }
  std::string Record(const std::string& id) { return absl::StrCat(folder_, "/processes/", id); }
  // Blocks until what is in the folder makes `condition` true.
  bool AwaitFiles(const std::function<bool()>& condition) {
    return FolderWatch(folder_).Await(condition, kPatience);
  }
  ProcessRecord AwaitRecord(const std::string& id) {
    EXPECT_TRUE(AwaitFiles([&] { return ReadProcessRecord(Record(id)).ok(); })) << id;
    return ReadProcessRecord(Record(id)).value_or(ProcessRecord{});
  }
  // The program itself runs, so its signal handlers are not those of the supervisor's fork.
  ProcessRecord AwaitRunning(const std::string& id) {
    EXPECT_TRUE(PollOutside([&] { return !ProcessesOfLaunch(Record(id)).empty(); }, kPatience))
        << id;
    return AwaitRecord(id);
  }

  std::string folder_;
  LocalLauncherOptions options_;
  Exits exits_;
  std::unique_ptr<Launcher> launcher_;
  std::vector<std::string> started_;
};

TEST_F(LocalLauncherTest, ReportsExitCodeAndKeepsTheOutput) {
  const std::string id = Start("say", {"say", "hello world", "7"});
  const ProcessExit exit = exits_.Await(id);
  EXPECT_EQ(exit.exit_code, 7);
  EXPECT_EQ(exit.cause, "exited");
  EXPECT_EQ(ReadFile(Log(id), 1000).value(), "hello world\n");
}

TEST_F(LocalLauncherTest, RecordsTheProcessBeforeItRuns) {
  const std::string id = Start("wait", {"wait"});
  const ProcessRecord record = AwaitRunning(id);
  EXPECT_EQ(record.launch_id, id);
  EXPECT_EQ(record.boot_id, BootId());
  EXPECT_EQ(record.start_time, ProcessStartTime(record.pid).value());
  EXPECT_EQ(record.supervisor_start, ProcessStartTime(record.supervisor_pid).value());
  EXPECT_EQ(getsid(record.pid), record.supervisor_pid);
}

TEST_F(LocalLauncherTest, RefusesAProgramThatIsNotThere) {
  const absl::Status status =
      launcher_->Start({.launch_id = "x", .record_dir = folder_, .program = "/nonexistent"});
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

TEST_F(LocalLauncherTest, GracefulStopLetsTheProgramFinish) {
  const std::string file = folder_ + "/checkpoint";
  const std::string id = Start("graceful", {"graceful", file});
  ASSERT_TRUE(AwaitFiles([&] { return std::filesystem::exists(file + ".ready"); }));
  launcher_->Stop(id, StopMode::kGraceful);
  const ProcessExit exit = exits_.Await(id);
  EXPECT_EQ(exit.exit_code, kExitStopped);
  EXPECT_EQ(exit.cause, "stopped");
  EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(LocalLauncherTest, KillsAStubbornProgramAfterTheGrace) {
  options_.grace = absl::Milliseconds(30);
  Restart();
  const std::string id = Start("stubborn", {"stubborn"});
  AwaitRunning(id);
  launcher_->Stop(id, StopMode::kGraceful);
  const ProcessExit exit = exits_.Await(id);
  EXPECT_TRUE(exit.signal == SIGKILL || exit.signal == SIGTERM) << exit.signal;
  EXPECT_EQ(exit.cause, "stopped");
}

TEST_F(LocalLauncherTest, KillsAStoppedProcess) {
  const std::string id = Start("wait", {"wait"});
  kill(AwaitRunning(id).pid, SIGSTOP);
  launcher_->Stop(id, StopMode::kHurried);
  EXPECT_NE(exits_.Await(id).signal, 0);
}

TEST_F(LocalLauncherTest, LeavesNoDaemonBehind) {
  const std::string file = folder_ + "/daemon";
  const std::string id = Start("family", {"family", file});
  ASSERT_TRUE(AwaitFiles([&] { return std::filesystem::exists(file); }));
  pid_t daemon = 0;
  ASSERT_TRUE(absl::SimpleAtoi(ReadFile(file, 100).value(), &daemon));
  EXPECT_TRUE(Runs(daemon));
  launcher_->Stop(id, StopMode::kGraceful);
  exits_.Await(id);
  EXPECT_FALSE(Runs(daemon));
}

TEST_F(LocalLauncherTest, NothingSurvivesAKilledSupervisor) {
  const std::string file = folder_ + "/daemon";
  const std::string id = Start("family", {"family", file});
  ASSERT_TRUE(AwaitFiles([&] { return std::filesystem::exists(file); }));
  const ProcessRecord record = AwaitRunning(id);
  pid_t daemon = 0;
  ASSERT_TRUE(absl::SimpleAtoi(ReadFile(file, 100).value(), &daemon));
  kill(record.supervisor_pid, SIGKILL);
  EXPECT_EQ(exits_.Await(id).cause, "lost");
  EXPECT_FALSE(Runs(daemon));
  // The kernel ends it with its supervisor. As it dies it has no environment to be found by.
  EXPECT_TRUE(AwaitFiles([&] { return !Runs(record.pid); }));
}

TEST_F(LocalLauncherTest, AdoptsALivingProcess) {
  const std::string id = Start("wait", {"wait"});
  const pid_t pid = AwaitRunning(id).pid;
  Restart();
  launcher_->Adopt(id, folder_ + "/processes");
  EXPECT_TRUE(Runs(pid));
  launcher_->Stop(id, StopMode::kGraceful);
  EXPECT_EQ(exits_.Await(id).cause, "stopped");
}

TEST_F(LocalLauncherTest, AdoptsOneThatEndedMeanwhile) {
  const std::string id = Start("exit", {"exit", "3"});
  ASSERT_TRUE(AwaitFiles([&] { return ReadExitRecord(Record(id)).ok(); }));
  Exits other;
  launcher_ = nullptr;
  launcher_ = MakeLocalLauncher(options_).value();
  launcher_->SetOnExit(other.Callback());
  launcher_->Adopt(id, folder_ + "/processes");
  EXPECT_EQ(other.Await(id).exit_code, kPermanentFailure);
}

TEST_F(LocalLauncherTest, ALaunchRuledOutNeverStarts) {
  launcher_->Adopt("late", folder_ + "/processes");
  EXPECT_EQ(exits_.Await("late").cause, "never started");
  // The supervisor of the same launch comes late and finds the record taken.
  ASSERT_TRUE(launcher_
                  ->Start({.launch_id = "late",
                           .record_dir = folder_ + "/processes",
                           .log_file = Log("late"),
                           .program = CHILD_PROGRAM,
                           .arguments = {"say", "started", "0"}})
                  .ok());
  ASSERT_TRUE(AwaitFiles([&] {
    const auto log = ReadFile(Log("late"), 10000);
    return log.ok() && absl::StrContains(*log, "exists");
  }));
  EXPECT_FALSE(absl::StrContains(ReadFile(Log("late"), 10000).value(), "started\n"));
  EXPECT_FALSE(ReadExitRecord(Record("late")).ok());
}

TEST_F(LocalLauncherTest, AnotherProcessWithTheSamePidIsNotAdopted) {
  ASSERT_TRUE(std::filesystem::create_directories(folder_ + "/processes"));
  ASSERT_TRUE(ClaimProcessRecord(Record("old"), {.launch_id = "old",
                                                 .boot_id = BootId(),
                                                 .supervisor_pid = getpid(),
                                                 .supervisor_start = 1})
                  .ok());
  launcher_->Adopt("old", folder_ + "/processes");
  EXPECT_EQ(exits_.Await("old").cause, "lost");
}

TEST_F(LocalLauncherTest, AnOrphanStopsAfterTheTimeout) {
  options_.orphan_timeout = absl::Milliseconds(300);
  Restart();
  const std::string id = Start("wait", {"wait"});
  AwaitRunning(id);
  launcher_ = nullptr;
  ASSERT_TRUE(AwaitFiles([&] { return ReadExitRecord(Record(id)).ok(); }));
  EXPECT_EQ(ReadExitRecord(Record(id))->cause, "orphaned");
  Restart();
}

TEST_F(LocalLauncherTest, ARenewedLeaseKeepsIt) {
  options_.orphan_timeout = absl::Milliseconds(200);
  Restart();
  const std::string id = Start("wait", {"wait"});
  const pid_t pid = AwaitRunning(id).pid;
  // Renewals over several times the timeout, counted by the file itself.
  const std::filesystem::file_time_type begin =
      std::filesystem::last_write_time(options_.lease_file);
  ASSERT_TRUE(AwaitFiles([&] {
    return std::filesystem::last_write_time(options_.lease_file) - begin >
           std::chrono::milliseconds(700);
  }));
  EXPECT_TRUE(Runs(pid));
}

}  // namespace
}  // namespace reflux
