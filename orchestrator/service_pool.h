// Teachers and caches, shared by jobs: started when a job needs them, kept while any uses them and
// a while after, started again when they die. They keep their role, and with it their endpoint file
// and folder.
//
// Not thread-safe: its owner calls it under one lock. `now` is passed in.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "orchestrator/job_plan.h"
#include "orchestrator/job_state_machine.h"
#include "orchestrator/job_store.h"
#include "orchestrator/launcher.h"
#include "orchestrator/state_layout.h"
#include "reflux/v1/jobs.pb.h"

namespace reflux {

struct ServicePoolOptions {
  StateLayout state;
  std::string bin_dir;
  RestartPolicy restart;
  absl::Duration lease = absl::Seconds(30);
  absl::Duration start_timeout = absl::Minutes(10);  // from launch to registration
  absl::Duration linger = absl::Minutes(10);
};

class ServicePool {
 public:
  ServicePool(const ServicePoolOptions& options, Launcher& launcher, JobStore& store);

  // Loads what is stored and adopts what was running.
  absl::Status Recover(absl::Time now);

  // `spec` is what a service that must be started is told. Repeatable. A service that was given up
  // gets a new chance when no other job uses it.
  absl::Status Acquire(const std::string& job_id, const v1::JobSpec& spec,
                       const std::vector<ServicePlan>& plans, int max_restarts, absl::Time now);
  void Release(const std::string& job_id, absl::Time now);
  // Every service of the job has registered; of a pool of teachers those that were not given up.
  bool Ready(const std::string& job_id) const;
  // Why one of the job's services was given up; empty if none was, or only teachers of whose pool
  // others are left.
  std::string Failure(const std::string& job_id) const;

  bool Owns(const std::string& launch_id) const;
  void OnExit(const ProcessExit& exit, absl::Time now);
  // NotFound for a launch that it does not know, FailedPrecondition for an outdated one.
  absl::Status Register(const v1::RegisterRequest& request, absl::Time now);
  absl::StatusOr<bool> Heartbeat(const std::string& launch_id, absl::Time now);  // true: stop

  // Does what is due; returns when to call again at the latest.
  absl::Time Tick(absl::Time now);
  void StopAll();
  int living() const;
  int64_t restarts() const { return restarts_; }

  std::vector<v1::Process> Processes(const std::string& job_id) const;
  // NotFound until it has registered.
  absl::StatusOr<std::string> Address(const std::string& role) const;
  // Logs of the job's service whose role is `role` or begins with "<role>/", oldest first.
  absl::StatusOr<std::vector<std::string>> Logs(const std::string& job_id,
                                                const std::string& role) const;

 private:
  struct Service {
    store::ServiceRecord record;
    std::set<std::string> users;
    int max_restarts = 0;
    bool stopping = false;
    absl::Time heard = absl::InfinitePast();     // launch, registration or heartbeat
    absl::Time start_at = absl::InfinitePast();  // back-off
    absl::Time idle_since = absl::InfinitePast();
  };

  static std::string LaunchId(const store::ServiceRecord& record);
  Service* Find(const std::string& launch_id);
  bool Needed(const Service& service) const;
  bool Replaceable(const std::string& job_id, const Service& service) const;
  void Launch(Service& service, absl::Time now);
  void RestartOrGiveUp(Service& service, const ProcessExit& exit, absl::Time now);
  absl::Time TickLiving(Service& service, absl::Time now);
  void Save(const Service& service, bool durable);

  const ServicePoolOptions options_;
  Launcher& launcher_;
  JobStore& store_;
  bool closing_ = false;
  int64_t restarts_ = 0;
  std::map<std::string, Service> services_;  // by role
};

// "exit code 3" or "signal 9", for people.
std::string DescribeExit(const ProcessExit& exit);

// The spec as JSON with the field names of the job file.
absl::Status WriteSpec(const std::string& file, const v1::JobSpec& spec);

}  // namespace reflux
