// A real reflux-orchestrator process and what a test does to it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "reflux/v1/jobs.grpc.pb.h"

namespace reflux {

class OrchestratorProcess {
 public:
  // Starts $REFLUX_BIN/reflux-orchestrator on `state` and waits until it answers.
  explicit OrchestratorProcess(std::string state);
  // Stops it (SIGTERM, then SIGKILL) with everything that it started.
  ~OrchestratorProcess();

  v1::Job Submit(const v1::JobSpec& spec);
  v1::Job Get(const std::string& job_id);
  // Blocks until `condition` holds for the job, also across restarts of the orchestrator. Fails the
  // test and returns the last state after five minutes.
  v1::Job Await(const std::string& job_id, const std::function<bool(const v1::Job&)>& condition);

  void Kill();     // SIGKILL, nothing else is touched
  void Restart();  // the same state folder

 private:
  void Start();
  std::unique_ptr<v1::JobService::Stub> Connect();
  const std::string state_;
  pid_t pid_ = -1;
};

bool IsFinal(const v1::Job& job);
// The process of the job whose role begins with `prefix`; its pid is 0 if there is none.
v1::Process FindProcess(const v1::Job& job, const std::string& prefix);

}  // namespace reflux
