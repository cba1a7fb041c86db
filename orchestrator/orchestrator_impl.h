// The state of an orchestrator and what changes it, for the sources of Orchestrator alone: calls
// about jobs (orchestrator_jobs.cc), calls of workers and services (orchestrator_members.cc),
// events of jobs and the actions they lead to (orchestrator_events.cc), time and restarts
// (orchestrator_watch.cc).
//
// One mutex guards all of it. Private methods run with it held, except OnExit and Watch, which take
// it. A job is changed by events only (Send): Transition says what becomes of it, the result is
// stored, then acted upon.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "orchestrator/job_plan.h"
#include "orchestrator/orchestrator.h"
#include "orchestrator/orchestrator_metrics.h"
#include "orchestrator/service_pool.h"
#include "orchestrator/state_layout.h"

namespace reflux {

class Orchestrator::Impl {
 public:
  Impl(const OrchestratorOptions& options, std::unique_ptr<JobStore> store,
       std::unique_ptr<Launcher> launcher, MetricRegistry* metrics);
  ~Impl();
  absl::Status Start();

  // As Orchestrator.
  absl::StatusOr<v1::Job> Submit(const v1::SubmitJobRequest& request);
  absl::StatusOr<v1::Job> Get(const std::string& job_id) const;
  v1::ListJobsResponse List() const;
  absl::StatusOr<v1::Job> Cancel(const std::string& job_id);
  absl::StatusOr<v1::ReadLogResponse> ReadLog(const v1::ReadLogRequest& request) const;
  absl::StatusOr<v1::Job> AwaitChange(const std::string& job_id, int64_t* version,
                                      absl::Time deadline) const;
  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request);
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request);
  absl::StatusOr<v1::ResolveResponse> Resolve(const v1::ResolveRequest& request) const;
  absl::Status Shutdown(absl::Time deadline);

 private:
  struct Job {
    store::JobRecord record;
    JobPlan plan;
    int64_t version = 1;
    absl::Time restart_at = absl::InfiniteFuture();
    std::vector<absl::Time> heard;  // by rank: launch, registration or heartbeat
  };
  struct RankLaunch {
    Job* job;
    int generation;
    int rank;
  };

  // orchestrator_jobs.cc
  absl::StatusOr<Job*> Create(const std::string& request_id, const v1::JobSpec& spec,
                              const TeacherIds& teacher_ids);
  absl::StatusOr<Job*> Find(const std::string& job_id) const;
  const Job* FindRequest(const std::string& request_id) const;
  v1::Job Snapshot(const Job& job) const;
  absl::StatusOr<std::vector<std::string>> LogFiles(const Job& job, const std::string& role) const;
  int LivingRanks() const;

  // orchestrator_members.cc
  absl::Status RegisterWorker(Job& job, const v1::RegisterRequest& request);
  absl::Status CheckGeneration(const Job& job, int generation) const;
  void TakeProgress(Job& job, const v1::Progress& progress);

  // orchestrator_events.cc
  // Events that actions lead to wait their turn.
  void Send(Job& job, JobEvent event);
  void Apply(Job& job, const JobEvent& event);
  void Save(const Job& job, bool durable);
  void Carry(Job& job, const JobAction& action);
  void Acquire(Job& job);
  void StartGeneration(Job& job);
  void StopRanks(const Job& job, StopMode mode);
  // Tells jobs what became of their services.
  void CheckServices();
  void OnExit(const ProcessExit& exit);

  // orchestrator_watch.cc
  absl::Status Recover();
  void AdoptRanks(Job& job);
  void Watch();
  absl::Time TickJob(Job& job, absl::Time now);
  void ShowMetrics();

  const OrchestratorOptions options_;
  const StateLayout layout_;
  const std::unique_ptr<JobStore> store_;
  std::unique_ptr<Launcher> launcher_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  OrchestratorMetrics metrics_ REFLUX_GUARDED_BY(mutex_);
  ServicePool pool_ REFLUX_GUARDED_BY(mutex_);
  std::map<std::string, std::unique_ptr<Job>> jobs_ REFLUX_GUARDED_BY(mutex_);
  std::map<std::string, RankLaunch> launches_ REFLUX_GUARDED_BY(mutex_);
  std::deque<std::pair<Job*, JobEvent>> pending_ REFLUX_GUARDED_BY(mutex_);
  bool sending_ REFLUX_GUARDED_BY(mutex_) = false;
  bool closing_ REFLUX_GUARDED_BY(mutex_) = false;  // Shutdown has begun
  bool stopped_ REFLUX_GUARDED_BY(mutex_) = false;  // Shutdown has ended
  bool ending_ REFLUX_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace reflux
