// A Launcher that starts nothing: tests read what was asked and report ends themselves.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "orchestrator/launcher.h"

namespace reflux {

// Outlives orchestrators, like processes do; FakeLauncher is one orchestrator's view of it.
class FakeProcesses {
 public:
  struct Launch {
    LaunchSpec spec;
    std::vector<StopMode> stops;
    bool adopted = false;
    bool ended = false;
  };

  // Waits until a launch whose id contains `part` exists and lives.
  Launch Await(const std::string& part) {
    return AwaitThat([part](const Launch& l) {
      return !l.ended && l.spec.launch_id.find(part) != std::string::npos;
    });
  }
  Launch AwaitStop(const std::string& part) {
    return AwaitThat([part](const Launch& l) {
      return l.spec.launch_id.find(part) != std::string::npos && !l.stops.empty();
    });
  }
  void End(const std::string& launch_id, int exit_code, int signal = 0) {
    std::function<void(const ProcessExit&)> on_exit;
    {
      MutexLock lock(mutex_);
      launches_[launch_id].ended = true;
      on_exit = on_exit_;
    }
    if (on_exit) on_exit({launch_id, exit_code, signal, "exited"});
  }
  std::vector<std::string> Living() {
    MutexLock lock(mutex_);
    std::vector<std::string> ids;
    for (const auto& [id, launch] : launches_) {
      if (!launch.ended) ids.push_back(id);
    }
    return ids;
  }
  Launch Get(const std::string& launch_id) {
    MutexLock lock(mutex_);
    return launches_[launch_id];
  }

 private:
  friend class FakeLauncher;
  Launch AwaitThat(const std::function<bool(const Launch&)>& matches) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    MutexLock lock(mutex_);
    while (true) {
      for (const auto& [id, launch] : launches_) {
        if (matches(launch)) return launch;
      }
      if (absl::Now() >= deadline) return {};
      changed_.WaitUntil(mutex_, deadline);
    }
  }

  Mutex mutex_;
  CondVar changed_;
  std::function<void(const ProcessExit&)> on_exit_;
  std::map<std::string, Launch> launches_;
};

class FakeLauncher : public Launcher {
 public:
  explicit FakeLauncher(FakeProcesses& processes) : processes_(processes) {}
  ~FakeLauncher() override { SetOnExit(nullptr); }
  void SetOnExit(std::function<void(const ProcessExit&)> on_exit) override {
    MutexLock lock(processes_.mutex_);
    processes_.on_exit_ = std::move(on_exit);
  }
  absl::Status Start(const LaunchSpec& launch) override {
    MutexLock lock(processes_.mutex_);
    processes_.launches_[launch.launch_id] = {.spec = launch};
    processes_.changed_.NotifyAll();
    return absl::OkStatus();
  }
  void Adopt(const std::string& launch_id, const std::string&) override {
    MutexLock lock(processes_.mutex_);
    processes_.launches_[launch_id].adopted = true;
  }
  void Stop(const std::string& launch_id, StopMode mode) override {
    MutexLock lock(processes_.mutex_);
    processes_.launches_[launch_id].stops.push_back(mode);
    processes_.changed_.NotifyAll();
  }

 private:
  FakeProcesses& processes_;
};

}  // namespace reflux
