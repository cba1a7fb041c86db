// The beginning, what time brings, and the end.
#include <algorithm>

#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "orchestrator/orchestrator_impl.h"

namespace reflux {

Orchestrator::Impl::Impl(const OrchestratorOptions& options, std::unique_ptr<JobStore> store,
                         std::unique_ptr<Launcher> launcher, MetricRegistry* metrics)
    : options_(options),
      layout_{options.state_dir},
      store_(std::move(store)),
      launcher_(std::move(launcher)),
      metrics_(metrics),
      pool_({.state = layout_,
             .bin_dir = options.bin_dir,
             .restart = options.restart,
             .lease = options.lease,
             .start_timeout = options.start_timeout,
             .linger = options.service_linger},
            *launcher_, *store_) {}

Orchestrator::Impl::~Impl() {
  {
    MutexLock lock(mutex_);
    ending_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  launcher_ = nullptr;  // no exit is reported from here on
}

absl::Status Orchestrator::Impl::Start() {
  launcher_->SetOnExit([this](const ProcessExit& exit) { OnExit(exit); });
  MutexLock lock(mutex_);
  REFLUX_RETURN_IF_ERROR(Recover());
  thread_ = std::thread([this] { Watch(); });
  return absl::OkStatus();
}

absl::Status Orchestrator::Impl::Recover() {
  const absl::Time now = absl::Now();
  REFLUX_RETURN_IF_ERROR(pool_.Recover(now));
  REFLUX_ASSIGN_OR_RETURN(const std::vector<store::JobRecord> records, store_->Jobs());
  for (const store::JobRecord& record : records) {
    auto job = std::make_unique<Job>();
    job->record = record;
    TeacherIds teacher_ids;
    for (const auto& [name, id] : record.teacher_ids()) teacher_ids[name] = id;
    job->plan = PlanJob(record.spec(), teacher_ids, layout_, options_.cache_site);
    // A whole lease to find the new address.
    job->heard.assign(record.status().ranks_size(), now);
    AdoptRanks(*job);
    metrics_.SetProgress(record);
    jobs_[record.job_id()] = std::move(job);
  }
  for (const auto& [id, job] : jobs_) Send(*job, job_event::Recovered{});
  for (const auto& [id, job] : jobs_) Send(*job, job_event::Start{});
  return absl::OkStatus();
}

void Orchestrator::Impl::AdoptRanks(Job& job) {
  const store::JobStatus& status = job.record.status();
  for (int rank = 0; rank < status.ranks_size(); ++rank) {
    if (status.ranks(rank).phase() == store::Rank::EXITED) continue;
    const std::string launch_id = WorkerLaunchId(job.record.job_id(), status.generation(), rank);
    launches_[launch_id] = {&job, status.generation(), rank};
    launcher_->Adopt(launch_id, StateLayout::ProcessDir(job.record.directory()));
  }
}

void Orchestrator::Impl::Watch() {
  MutexLock lock(mutex_);
  while (!ending_) {
    const absl::Time now = absl::Now();
    absl::Time next = std::min(now + absl::Seconds(1), pool_.Tick(now));
    // A service that cannot be started fails in Tick.
    CheckServices();
    for (const auto& [id, job] : jobs_) next = std::min(next, TickJob(*job, now));
    ShowMetrics();
    if (next > absl::Now()) changed_.WaitUntil(mutex_, next);
  }
}

absl::Time Orchestrator::Impl::TickJob(Job& job, absl::Time now) {
  if (now >= job.restart_at && !closing_) {
    job.restart_at = absl::InfiniteFuture();
    Send(job, job_event::RestartDue{});
  }
  absl::Time next = job.restart_at;
  const store::JobStatus& status = job.record.status();
  if (status.goal() != store::GOAL_RUN || !AnyRankLives(status)) return next;
  const int generation = status.generation();
  for (int rank = 0; rank < status.ranks_size() && status.generation() == generation; ++rank) {
    if (status.ranks(rank).phase() == store::Rank::EXITED) continue;
    const bool registered = status.ranks(rank).phase() == store::Rank::REGISTERED;
    const absl::Time silent_at =
        job.heard[rank] + (registered ? options_.lease : options_.start_timeout);
    if (now >= silent_at) Send(job, job_event::RankLost{generation, rank});
    if (now < silent_at) next = std::min(next, silent_at);
  }
  return next;
}

void Orchestrator::Impl::ShowMetrics() {
  std::map<v1::JobState, int> counts;
  for (int state = v1::JOB_STATE_QUEUED; state <= v1::JOB_STATE_CANCELLED; ++state) {
    counts[static_cast<v1::JobState>(state)] = 0;
  }
  for (const auto& [id, job] : jobs_) ++counts[job->record.status().state()];
  for (const auto& [state, count] : counts) metrics_.SetJobs(state, count);
  metrics_.SetProcesses(LivingRanks() + pool_.living());
}

}  // namespace reflux
