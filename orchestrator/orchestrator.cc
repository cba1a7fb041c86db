#include "orchestrator/orchestrator.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "orchestrator/job_plan.h"
#include "orchestrator/orchestrator_metrics.h"
#include "orchestrator/process_logs.h"
#include "orchestrator/service_pool.h"

namespace reflux {
namespace {

constexpr size_t kMaxRequestId = 200;
constexpr int kTailLines = 5;

int64_t NowMs() { return absl::ToUnixMillis(absl::Now()); }

std::string NewJobId(const std::string& name) {
  std::random_device random;
  return absl::StrCat(name, "-", absl::StrFormat("%08x", random()));
}

// N of "worker/N", or -1.
int RankOf(const std::string& role) {
  int rank = -1;
  absl::string_view number = role;
  return absl::ConsumePrefix(&number, "worker/") && absl::SimpleAtoi(number, &rank) ? rank : -1;
}

}  // namespace

absl::Status OrchestratorOptions::Validate() const {
  if (state_dir.empty() || state_dir[0] != '/' || bin_dir.empty()) {
    return absl::InvalidArgumentError(
        "the state folder must be an absolute path, bin_dir not empty");
  }
  if (lease <= absl::ZeroDuration() || start_timeout <= absl::ZeroDuration() ||
      service_linger < absl::ZeroDuration() || restart.min_backoff <= absl::ZeroDuration() ||
      restart.max_backoff < restart.min_backoff) {
    return absl::InvalidArgumentError("lease, start time-out and back-off must be positive");
  }
  return absl::OkStatus();
}

class Orchestrator::Impl {
 public:
  Impl(const OrchestratorOptions& options, std::unique_ptr<JobStore> store,
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

  ~Impl() {
    {
      MutexLock lock(mutex_);
      ending_ = true;
      changed_.NotifyAll();
    }
    if (thread_.joinable()) thread_.join();
    launcher_ = nullptr;  // no exit is reported from here on
  }

  absl::Status Start() {
    launcher_->SetOnExit([this](const ProcessExit& exit) { OnExit(exit); });
    MutexLock lock(mutex_);
    REFLUX_RETURN_IF_ERROR(Recover());
    thread_ = std::thread([this] { Watch(); });
    return absl::OkStatus();
  }

  absl::StatusOr<v1::Job> Submit(const v1::SubmitJobRequest& request) {
    if (request.request_id().size() > kMaxRequestId) {
      return absl::InvalidArgumentError("request_id: at most 200 characters");
    }
    {
      MutexLock lock(mutex_);
      if (const Job* job = FindRequest(request.request_id())) return Snapshot(*job);
    }
    absl::StatusOr<v1::JobSpec> spec = ResolveJob(request.spec());
    // Never Unimplemented: that would say that the orchestrator does not know the call.
    if (!spec.ok()) return absl::InvalidArgumentError(spec.status().message());
    REFLUX_ASSIGN_OR_RETURN(const std::string teacher_id, TeacherId(*spec));
    MutexLock lock(mutex_);
    // Again: the lock was not held while the checkpoint was read.
    if (const Job* job = FindRequest(request.request_id())) return Snapshot(*job);
    if (closing_) return absl::UnavailableError("the orchestrator is stopping");
    REFLUX_ASSIGN_OR_RETURN(Job * job, Create(request.request_id(), *spec, teacher_id));
    Send(*job, job_event::Start{});
    return Snapshot(*job);
  }

  absl::StatusOr<v1::Job> Get(const std::string& job_id) const {
    MutexLock lock(mutex_);
    REFLUX_ASSIGN_OR_RETURN(const Job* job, Find(job_id));
    return Snapshot(*job);
  }

  v1::ListJobsResponse List() const {
    MutexLock lock(mutex_);
    std::vector<const Job*> jobs;
    for (const auto& [id, job] : jobs_) jobs.push_back(job.get());
    std::sort(jobs.begin(), jobs.end(), [](const Job* a, const Job* b) {
      return a->record.submitted_unix_ms() > b->record.submitted_unix_ms();
    });
    v1::ListJobsResponse response;
    for (const Job* job : jobs) *response.add_jobs() = Snapshot(*job);
    return response;
  }

  absl::StatusOr<v1::Job> Cancel(const std::string& job_id) {
    MutexLock lock(mutex_);
    REFLUX_ASSIGN_OR_RETURN(Job * job, Find(job_id));
    Send(*job, job_event::Cancel{});
    return Snapshot(*job);
  }

  absl::StatusOr<v1::ReadLogResponse> ReadLog(const v1::ReadLogRequest& request) const {
    constexpr int64_t kDefaultBytes = 64 << 10, kMaxBytes = 1 << 20;
    if (request.max_bytes() < 0 || request.max_bytes() > kMaxBytes) {
      return absl::InvalidArgumentError("max_bytes: 0 to 1048576");
    }
    std::vector<std::string> files;
    v1::ReadLogResponse response;
    {
      MutexLock lock(mutex_);
      REFLUX_ASSIGN_OR_RETURN(const Job* job, Find(request.job_id()));
      // Taken before the log is read: then a finished job's log is complete.
      response.set_job_finished(IsFinal(job->record.status().state()));
      REFLUX_ASSIGN_OR_RETURN(files, LogFiles(*job, request.role()));
    }
    const int64_t max_bytes = request.max_bytes() == 0 ? kDefaultBytes : request.max_bytes();
    REFLUX_ASSIGN_OR_RETURN(LogPart part, ReadLogFiles(files, request.offset(), max_bytes));
    response.set_content(std::move(part.content));
    response.set_next_offset(part.next_offset);
    return response;
  }

  absl::StatusOr<v1::Job> AwaitChange(const std::string& job_id, int64_t* version,
                                      absl::Time deadline) const {
    MutexLock lock(mutex_);
    REFLUX_ASSIGN_OR_RETURN(const Job* job, Find(job_id));
    while (job->version == *version && !stopped_ && absl::Now() < deadline) {
      changed_.WaitUntil(mutex_, deadline);
    }
    if (job->version == *version && stopped_) {
      return absl::UnavailableError("the orchestrator is stopping");
    }
    *version = job->version;
    return Snapshot(*job);
  }

  absl::StatusOr<v1::RegisterResponse> Register(const v1::RegisterRequest& request) {
    if (absl::string_view(request.build_version()) != BuildVersion()) {
      return absl::FailedPreconditionError(
          absl::StrCat(request.role(), " is of build ", request.build_version(),
                       ", this orchestrator of ", BuildVersion(), ": use programs of one build"));
    }
    MutexLock lock(mutex_);
    v1::RegisterResponse response;
    response.set_lease_ms(absl::ToInt64Milliseconds(options_.lease));
    if (request.job_id().empty()) {
      REFLUX_RETURN_IF_ERROR(pool_.Register(request, absl::Now()));
      CheckServices();
      return response;
    }
    REFLUX_ASSIGN_OR_RETURN(Job * job, Find(request.job_id()));
    REFLUX_RETURN_IF_ERROR(RegisterWorker(*job, request));
    response.set_store_address(job->record.status().ranks(0).store_address());
    return response;
  }

  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(const v1::HeartbeatRequest& request) {
    MutexLock lock(mutex_);
    v1::HeartbeatResponse response;
    if (request.job_id().empty()) {
      REFLUX_ASSIGN_OR_RETURN(const bool stop, pool_.Heartbeat(request.launch_id(), absl::Now()));
      response.set_stop(stop);
      return response;
    }
    REFLUX_ASSIGN_OR_RETURN(Job * job, Find(request.job_id()));
    REFLUX_RETURN_IF_ERROR(CheckGeneration(*job, request.generation()));
    const auto launch = launches_.find(request.launch_id());
    if (launch == launches_.end() || launch->second.job != job ||
        job->record.status().ranks(launch->second.rank).phase() != store::Rank::REGISTERED) {
      return absl::NotFoundError(absl::StrCat(request.launch_id(), " has not registered"));
    }
    job->heard[launch->second.rank] = absl::Now();
    if (launch->second.rank == 0 && request.has_progress()) TakeProgress(*job, request.progress());
    response.set_stop(job->record.status().goal() != store::GOAL_RUN);
    return response;
  }

  absl::StatusOr<v1::ResolveResponse> Resolve(const v1::ResolveRequest& request) const {
    MutexLock lock(mutex_);
    v1::ResolveResponse response;
    absl::string_view job_id = request.name();
    if (!absl::ConsumePrefix(&job_id, "store/")) {
      REFLUX_ASSIGN_OR_RETURN(*response.mutable_address(), pool_.Address(request.name()));
      return response;
    }
    REFLUX_ASSIGN_OR_RETURN(const Job* job, Find(std::string(job_id)));
    const store::JobStatus& status = job->record.status();
    if (status.ranks().empty() || status.ranks(0).store_address().empty()) {
      return absl::NotFoundError(absl::StrCat(request.name(), ": rank 0 has not registered"));
    }
    response.set_address(status.ranks(0).store_address());
    return response;
  }

  absl::Status Shutdown(absl::Time deadline) {
    MutexLock lock(mutex_);
    closing_ = true;
    for (const auto& [id, job] : jobs_) Send(*job, job_event::Suspend{});
    while (LivingRanks() > 0 && absl::Now() < deadline) changed_.WaitUntil(mutex_, deadline);
    pool_.StopAll();
    while (pool_.living() > 0 && absl::Now() < deadline) changed_.WaitUntil(mutex_, deadline);
    stopped_ = true;
    changed_.NotifyAll();
    const int living = LivingRanks() + pool_.living();
    if (living == 0) return absl::OkStatus();
    return absl::DeadlineExceededError(
        absl::StrCat(living, " processes are still stopping; their supervisors see to it"));
  }

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

  // ---- finding and describing

  absl::StatusOr<Job*> Find(const std::string& job_id) const {
    const auto found = jobs_.find(job_id);
    if (found != jobs_.end()) return found->second.get();
    return absl::NotFoundError(absl::StrCat("no job ", job_id));
  }

  const Job* FindRequest(const std::string& request_id) const {
    if (request_id.empty()) return nullptr;
    for (const auto& [id, job] : jobs_) {
      if (job->record.request_id() == request_id) return job.get();
    }
    return nullptr;
  }

  v1::Job Snapshot(const Job& job) const {
    const store::JobRecord& record = job.record;
    v1::Job view;
    view.set_job_id(record.job_id());
    *view.mutable_spec() = record.spec();
    view.set_state(record.status().state());
    view.set_message(record.status().message());
    view.set_submitted_unix_ms(record.submitted_unix_ms());
    view.set_started_unix_ms(record.started_unix_ms());
    view.set_finished_unix_ms(record.finished_unix_ms());
    view.set_generation(record.status().generation());
    view.set_restarts(record.status().restarts());
    *view.mutable_progress() = record.progress();
    view.set_directory(record.directory());
    for (int rank = 0; rank < record.status().ranks_size(); ++rank) {
      *view.add_processes() = DescribeRank(record, rank);
    }
    for (v1::Process& process : pool_.Processes(record.job_id())) {
      *view.add_processes() = std::move(process);
    }
    return view;
  }

  static v1::Process DescribeRank(const store::JobRecord& record, int index) {
    const store::Rank& rank = record.status().ranks(index);
    v1::Process process;
    process.set_launch_id(WorkerLaunchId(record.job_id(), record.status().generation(), index));
    process.set_role(absl::StrCat("worker/", index));
    process.set_generation(record.status().generation());
    process.set_pid(rank.pid());
    process.set_metrics_address(rank.metrics_address());
    process.set_state(rank.phase() == store::Rank::EXITED       ? "exited"
                      : rank.phase() == store::Rank::REGISTERED ? "running"
                                                                : "starting");
    process.set_exit_code(rank.exit_code());
    process.set_restarts(record.status().restarts());
    return process;
  }

  absl::StatusOr<std::vector<std::string>> LogFiles(const Job& job, const std::string& role) const {
    const store::JobRecord& record = job.record;
    const int rank = role.empty() ? 0 : RankOf(role);
    if (rank < 0) return pool_.Logs(record.job_id(), role);
    if (rank >= record.status().world_size()) {
      return absl::NotFoundError(absl::StrCat("job ", record.job_id(), " has no process ", role));
    }
    std::vector<std::string> files;
    for (int generation = 1; generation <= record.status().generation(); ++generation) {
      files.push_back(
          StateLayout::LogFile(record.directory(), absl::StrCat("worker/", rank), generation));
    }
    return files;
  }

  int LivingRanks() const {
    int living = 0;
    for (const auto& [id, job] : jobs_) {
      for (const store::Rank& rank : job->record.status().ranks()) {
        living += rank.phase() != store::Rank::EXITED;
      }
    }
    return living;
  }

  // ---- events

  absl::StatusOr<Job*> Create(const std::string& request_id, const v1::JobSpec& spec,
                              const std::string& teacher_id) {
    auto job = std::make_unique<Job>();
    store::JobRecord& record = job->record;
    record.set_job_id(NewJobId(spec.name()));
    record.set_request_id(request_id);
    *record.mutable_spec() = spec;
    record.set_teacher_id(teacher_id);
    record.set_submitted_unix_ms(NowMs());
    record.set_directory(layout_.Job(record.job_id()));
    store::JobStatus& status = *record.mutable_status();
    status.set_state(v1::JOB_STATE_QUEUED);
    status.set_world_size(spec.run().students());
    status.set_max_restarts(spec.run().max_restarts());
    job->plan = PlanJob(record.spec(), teacher_id, layout_);
    status.set_needs_services(!job->plan.services.empty());
    REFLUX_RETURN_IF_ERROR(WriteSpec(StateLayout::SpecFile(record.directory()), record.spec()));
    REFLUX_RETURN_IF_ERROR(store_->PutJob(record, /*durable=*/true));
    Job* created = job.get();
    jobs_[record.job_id()] = std::move(job);
    return created;
  }

  // Events that actions lead to wait their turn.
  void Send(Job& job, JobEvent event) {
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

  void Apply(Job& job, const JobEvent& event) {
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
        job.record.set_started_unix_ms(NowMs());
      }
      if (IsFinal(after)) job.record.set_finished_unix_ms(NowMs());
    }
    ++job.version;
    Save(job, /*durable=*/after != before || !transition.actions.empty());
    for (const JobAction& action : transition.actions) Carry(job, action);
  }

  void Save(const Job& job, bool durable) {
    const absl::Status status = store_->PutJob(job.record, durable);
    if (!status.ok()) spdlog::error("{}", status.ToString());
  }

  void Carry(Job& job, const JobAction& action) {
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

  void Acquire(Job& job) {
    const absl::Status status =
        pool_.Acquire(job.record.job_id(), job.record.spec(), job.plan.services,
                      job.record.status().max_restarts(), absl::Now());
    if (!status.ok()) Send(job, job_event::ServicesFailed{status.ToString()});
    CheckServices();
  }

  void StartGeneration(Job& job) {
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

  void StopRanks(const Job& job, StopMode mode) {
    const store::JobStatus& status = job.record.status();
    for (int rank = 0; rank < status.ranks_size(); ++rank) {
      if (status.ranks(rank).phase() == store::Rank::EXITED) continue;
      launcher_->Stop(WorkerLaunchId(job.record.job_id(), status.generation(), rank), mode);
    }
  }

  // Tells jobs what became of their services.
  void CheckServices() {
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

  void OnExit(const ProcessExit& exit) {
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

  absl::Status CheckGeneration(const Job& job, int generation) const {
    if (generation == job.record.status().generation()) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat("generation ", generation, " of job ",
                                                      job.record.job_id(), " is over: generation ",
                                                      job.record.status().generation(), " runs"));
  }

  absl::Status RegisterWorker(Job& job, const v1::RegisterRequest& request) {
    REFLUX_RETURN_IF_ERROR(CheckGeneration(job, request.generation()));
    const auto launch = launches_.find(request.launch_id());
    if (launch == launches_.end() || launch->second.job != &job ||
        launch->second.rank != RankOf(request.role())) {
      return absl::FailedPreconditionError(
          absl::StrCat(request.launch_id(), " is not a running launch of ", request.role()));
    }
    const int index = launch->second.rank;
    job.heard[index] = absl::Now();
    store::Rank& rank = *job.record.mutable_status()->mutable_ranks(index);
    rank.set_pid(request.pid());
    rank.set_metrics_address(request.metrics_address());
    if (!request.store_address().empty()) rank.set_store_address(request.store_address());
    ++job.version;
    Send(job, job_event::RankRegistered{request.generation(), index});
    return absl::OkStatus();
  }

  void TakeProgress(Job& job, const v1::Progress& progress) {
    if (progress.SerializeAsString() == job.record.progress().SerializeAsString()) return;
    *job.record.mutable_progress() = progress;
    ++job.version;
    metrics_.SetProgress(job.record);
    Send(job, job_event::Progress{job.record.status().generation(), progress.step(),
                                  progress.checkpoint()});
  }

  // ---- time

  void Watch() {
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

  absl::Time TickJob(Job& job, absl::Time now) {
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

  void ShowMetrics() {
    std::map<v1::JobState, int> counts;
    for (int state = v1::JOB_STATE_QUEUED; state <= v1::JOB_STATE_CANCELLED; ++state) {
      counts[static_cast<v1::JobState>(state)] = 0;
    }
    for (const auto& [id, job] : jobs_) ++counts[job->record.status().state()];
    for (const auto& [state, count] : counts) metrics_.SetJobs(state, count);
    metrics_.SetProcesses(LivingRanks() + pool_.living());
  }

  // ---- restart

  absl::Status Recover() {
    const absl::Time now = absl::Now();
    REFLUX_RETURN_IF_ERROR(pool_.Recover(now));
    REFLUX_ASSIGN_OR_RETURN(const std::vector<store::JobRecord> records, store_->Jobs());
    for (const store::JobRecord& record : records) {
      auto job = std::make_unique<Job>();
      job->record = record;
      job->plan = PlanJob(record.spec(), record.teacher_id(), layout_);
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

  void AdoptRanks(Job& job) {
    const store::JobStatus& status = job.record.status();
    for (int rank = 0; rank < status.ranks_size(); ++rank) {
      if (status.ranks(rank).phase() == store::Rank::EXITED) continue;
      const std::string launch_id = WorkerLaunchId(job.record.job_id(), status.generation(), rank);
      launches_[launch_id] = {&job, status.generation(), rank};
      launcher_->Adopt(launch_id, StateLayout::ProcessDir(job.record.directory()));
    }
  }

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

absl::StatusOr<std::unique_ptr<Orchestrator>> Orchestrator::Start(
    const OrchestratorOptions& options, std::unique_ptr<JobStore> store,
    std::unique_ptr<Launcher> launcher, MetricRegistry* metrics) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  auto impl = std::make_unique<Impl>(options, std::move(store), std::move(launcher), metrics);
  REFLUX_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<Orchestrator>(new Orchestrator(std::move(impl)));
}

Orchestrator::Orchestrator(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Orchestrator::~Orchestrator() = default;

absl::StatusOr<v1::Job> Orchestrator::Submit(const v1::SubmitJobRequest& request) {
  return impl_->Submit(request);
}
absl::StatusOr<v1::Job> Orchestrator::Get(const std::string& job_id) const {
  return impl_->Get(job_id);
}
v1::ListJobsResponse Orchestrator::List() const { return impl_->List(); }
absl::StatusOr<v1::Job> Orchestrator::Cancel(const std::string& job_id) {
  return impl_->Cancel(job_id);
}
absl::StatusOr<v1::ReadLogResponse> Orchestrator::ReadLog(const v1::ReadLogRequest& request) const {
  return impl_->ReadLog(request);
}
absl::StatusOr<v1::Job> Orchestrator::AwaitChange(const std::string& job_id, int64_t* version,
                                                  absl::Time deadline) const {
  return impl_->AwaitChange(job_id, version, deadline);
}
absl::StatusOr<v1::RegisterResponse> Orchestrator::Register(const v1::RegisterRequest& request) {
  return impl_->Register(request);
}
absl::StatusOr<v1::HeartbeatResponse> Orchestrator::Heartbeat(const v1::HeartbeatRequest& request) {
  return impl_->Heartbeat(request);
}
absl::StatusOr<v1::ResolveResponse> Orchestrator::Resolve(const v1::ResolveRequest& request) const {
  return impl_->Resolve(request);
}
absl::Status Orchestrator::Shutdown(absl::Time deadline) { return impl_->Shutdown(deadline); }

}  // namespace reflux
