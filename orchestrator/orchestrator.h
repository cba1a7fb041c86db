// Runs jobs: holds their states and services, answers the API, and lives through its own restarts.
// Thread-safe; calls block for disk writes at most, unless said otherwise.
//
// Everything happens under one lock: an event goes through the state machine, the new state is
// stored, its actions are carried out. A thread of its own watches leases and back-offs.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/metrics/registry.h"
#include "orchestrator/job_plan.h"
#include "orchestrator/job_state_machine.h"
#include "orchestrator/job_store.h"
#include "orchestrator/launcher.h"
#include "reflux/v1/jobs.pb.h"

namespace reflux {

struct OrchestratorOptions {
  std::string state_dir;
  std::string bin_dir;  // where reflux-worker, reflux-teacher and reflux-cache are
  RestartPolicy restart;
  // A registered process that is silent for longer is lost.
  absl::Duration lease = absl::Seconds(30);
  // From launch to registration: loading data and checkpoints, checking the teacher.
  absl::Duration start_timeout = absl::Minutes(10);
  // How long a teacher or cache is kept after its last job.
  absl::Duration service_linger = absl::Minutes(10);

  // Where cache servers keep targets.
  CacheSite cache_site;

  absl::Status Validate() const;
};

class Orchestrator {
 public:
  // Loads the stored state, adopts living processes and goes on with every job that has not ended.
  // `metrics` may be null and must outlive it.
  static absl::StatusOr<std::unique_ptr<Orchestrator>> Start(const OrchestratorOptions& options,
                                                             std::unique_ptr<JobStore> store,
                                                             std::unique_ptr<Launcher> launcher,
                                                             MetricRegistry* metrics);
  // Leaves all processes running, for the next orchestrator to adopt.
  ~Orchestrator();

  // jobs.proto, JobService. Submit reads the teacher's checkpoint to identify it: seconds.
  absl::StatusOr<v1::Job> Submit(const v1::SubmitJobRequest& request);
  absl::StatusOr<v1::Job> Get(const std::string& job_id) const;
  v1::ListJobsResponse List() const;  // newest first
  absl::StatusOr<v1::Job> Cancel(const std::string& job_id);
  absl::StatusOr<v1::ReadLogResponse> ReadLog(const v1::ReadLogRequest& request) const;
  // Blocks until the job's version differs from `*version` (start with 0) or the deadline, and
  // updates it. The job as it is then; Unavailable when the orchestrator stops.
  absl::StatusOr<v1::Job> AwaitChange(const std::string& job_id, int64_t* version,
                                      absl::Time deadline) const;

  // jobs.proto, MembershipService.
  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request);
  absl::StatusOr<v1::ResolveResponse> Resolve(const v1::ResolveRequest& request) const;

  // Stops every process so that jobs go on when the next orchestrator starts: students first, which
  // may need their targets for the last step, then services. Waits for their end; DeadlineExceeded
  // when some are still stopping at the deadline.
  absl::Status Shutdown(absl::Time deadline);

 private:
  class Impl;
  explicit Orchestrator(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace reflux
