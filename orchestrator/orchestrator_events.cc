// Events of jobs, and the actions that they lead to.
#include <spdlog/spdlog.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/exit_codes.h"
#include "orchestrator/orchestrator_impl.h"
#include "orchestrator/process_logs.h"

namespace reflux {
namespace {

constexpr int kTailLines = 5;

}  // namespace

void Orchestrator::Impl::Send(Job& job, JobEvent event) {
  pending_.emplace_back(&job, std::move(event));
  if (sending_) return;
  sending_ = true;
  while (!pending_.empty()) {
    const auto [next_job, next_event] = std::move(pending_.front());
    pending_.pop_front();
    Apply(*next_job, next_event);
  }
  sending_ = false;
  ShowMetrics();
  changed_.NotifyAll();
}

void Orchestrator::Impl::Apply(Job& job, const JobEvent& event) {
  const JobTransition transition = Transition(job.record.status(), event, options_.restart);
  const v1::JobState before = job.record.status().state();
  const v1::JobState after = transition.status.state();
  if (transition.actions.empty() &&
      transition.status.SerializeAsString() == job.record.status().SerializeAsString()) {
    return;
  }
  const int restarts = transition.status.restarts() - job.record.status().restarts();
  if (restarts > 0) metrics_.AddRestarts(restarts);
  *job.record.mutable_status() = transition.status;
  if (after != before) {
    spdlog::info("job {}: {} {}", job.record.job_id(), v1::JobState_Name(after),
                 transition.status.message());
    if (after == v1::JOB_STATE_RUNNING && job.record.started_unix_ms() == 0) {
      job.record.set_started_unix_ms(absl::ToUnixMillis(absl::Now()));
    }
    if (IsFinal(after)) job.record.set_finished_unix_ms(absl::ToUnixMillis(absl::Now()));
  }
  ++job.version;
  Save(job, /*durable=*/after != before || !transition.actions.empty());
  for (const JobAction& action : transition.actions) Carry(job, action);
}

void Orchestrator::Impl::Save(const Job& job, bool durable) {
  const absl::Status status = store_->PutJob(job.record, durable);
  if (!status.ok()) spdlog::error("{}", status.ToString());
}

void Orchestrator::Impl::Carry(Job& job, const JobAction& action) {
  switch (action.kind) {
    case JobAction::Kind::kAcquireServices:
      Acquire(job);
      break;
    case JobAction::Kind::kReleaseServices:
      pool_.Release(job.record.job_id(), absl::Now());
      break;
    case JobAction::Kind::kStartGeneration:
      StartGeneration(job);
      break;
    case JobAction::Kind::kStopRanks:
      StopRanks(job, action.mode);
      break;
    case JobAction::Kind::kScheduleRestart:
      job.restart_at = absl::Now() + action.delay;
      break;
  }
}

void Orchestrator::Impl::Acquire(Job& job) {
  const absl::Status status =
      pool_.Acquire(job.record.job_id(), job.record.spec(), job.plan.services,
                    job.record.status().max_restarts(), absl::Now());
  if (!status.ok()) Send(job, job_event::ServicesFailed{status.ToString()});
  CheckServices();
}

void Orchestrator::Impl::StartGeneration(Job& job) {
  const store::JobStatus& status = job.record.status();
  job.restart_at = absl::InfiniteFuture();
  job.heard.assign(status.world_size(), absl::Now());
  for (int rank = 0; rank < status.world_size(); ++rank) {
    const LaunchSpec launch = WorkerLaunch(job.record, job.plan, rank, layout_, options_.bin_dir);
    launches_[launch.launch_id] = {&job, status.generation(), rank};
    const absl::Status started = launcher_->Start(launch);
    if (started.ok()) continue;
    launches_.erase(launch.launch_id);
    Send(job, job_event::RankExited{status.generation(), rank, kPermanentFailure,
                                    std::string(started.message()), ""});
  }
}

void Orchestrator::Impl::StopRanks(const Job& job, StopMode mode) {
  const store::JobStatus& status = job.record.status();
  for (int rank = 0; rank < status.ranks_size(); ++rank) {
    if (status.ranks(rank).phase() == store::Rank::EXITED) continue;
    launcher_->Stop(WorkerLaunchId(job.record.job_id(), status.generation(), rank), mode);
  }
}

void Orchestrator::Impl::CheckServices() {
  for (const auto& [id, job] : jobs_) {
    const store::JobStatus& status = job->record.status();
    if (!status.needs_services() || IsFinal(status.state())) continue;
    if (const std::string failure = pool_.Failure(id); !failure.empty()) {
      Send(*job, job_event::ServicesFailed{failure});
    } else if (status.state() == v1::JOB_STATE_STARTING && !AnyRankLives(status) &&
               pool_.Ready(id)) {
      Send(*job, job_event::ServicesReady{});
    }
  }
  changed_.NotifyAll();
}

void Orchestrator::Impl::OnExit(const ProcessExit& exit) {
  MutexLock lock(mutex_);
  if (pool_.Owns(exit.launch_id)) {
    const int64_t before = pool_.restarts();
    pool_.OnExit(exit, absl::Now());
    metrics_.AddRestarts(pool_.restarts() - before);
    CheckServices();
    return;
  }
  const auto found = launches_.find(exit.launch_id);
  if (found == launches_.end()) return;
  const RankLaunch launch = found->second;
  launches_.erase(found);
  const std::string log = StateLayout::LogFile(
      launch.job->record.directory(), absl::StrCat("worker/", launch.rank), launch.generation);
  Send(*launch.job,
       job_event::RankExited{launch.generation, launch.rank, exit.exit_code, DescribeExit(exit),
                             exit.exit_code == kExitDone ? "" : LastLines(log, kTailLines)});
}

}  // namespace reflux
