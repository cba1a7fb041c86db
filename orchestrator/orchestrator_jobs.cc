// Calls about jobs.
#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/spec/job_file.h"
#include "orchestrator/job_view.h"
#include "orchestrator/orchestrator_impl.h"
#include "orchestrator/process_logs.h"

namespace reflux {
namespace {

constexpr size_t kMaxRequestId = 200;

std::string NewJobId(const std::string& name) {
  std::random_device random;
  return absl::StrCat(name, "-", absl::StrFormat("%08x", random()));
}

}  // namespace

absl::StatusOr<v1::Job> Orchestrator::Impl::Submit(const v1::SubmitJobRequest& request) {
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
  REFLUX_ASSIGN_OR_RETURN(const TeacherIds teacher_ids, IdentifyTeachers(*spec));
  MutexLock lock(mutex_);
  // Again: the lock was not held while the checkpoint was read.
  if (const Job* job = FindRequest(request.request_id())) return Snapshot(*job);
  if (closing_) return absl::UnavailableError("the orchestrator is stopping");
  REFLUX_ASSIGN_OR_RETURN(Job * job, Create(request.request_id(), *spec, teacher_ids));
  Send(*job, job_event::Start{});
  return Snapshot(*job);
}

absl::StatusOr<Orchestrator::Impl::Job*> Orchestrator::Impl::Create(const std::string& request_id,
                                                                    const v1::JobSpec& spec,
                                                                    const TeacherIds& teacher_ids) {
  auto job = std::make_unique<Job>();
  store::JobRecord& record = job->record;
  record.set_job_id(NewJobId(spec.name()));
  record.set_request_id(request_id);
  *record.mutable_spec() = spec;
  record.mutable_teacher_ids()->insert(teacher_ids.begin(), teacher_ids.end());
  record.set_submitted_unix_ms(absl::ToUnixMillis(absl::Now()));
  record.set_directory(layout_.Job(record.job_id()));
  store::JobStatus& status = *record.mutable_status();
  status.set_state(v1::JOB_STATE_QUEUED);
  status.set_world_size(spec.run().students());
  status.set_max_restarts(spec.run().max_restarts());
  job->plan = PlanJob(record.spec(), teacher_ids, layout_, options_.cache_site);
  status.set_needs_services(!job->plan.services.empty());
  REFLUX_RETURN_IF_ERROR(WriteSpec(StateLayout::SpecFile(record.directory()), record.spec()));
  REFLUX_RETURN_IF_ERROR(store_->PutJob(record, /*durable=*/true));
  Job* created = job.get();
  jobs_[record.job_id()] = std::move(job);
  return created;
}

absl::StatusOr<v1::Job> Orchestrator::Impl::Get(const std::string& job_id) const {
  MutexLock lock(mutex_);
  REFLUX_ASSIGN_OR_RETURN(const Job* job, Find(job_id));
  return Snapshot(*job);
}

v1::ListJobsResponse Orchestrator::Impl::List() const {
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

absl::StatusOr<v1::Job> Orchestrator::Impl::Cancel(const std::string& job_id) {
  MutexLock lock(mutex_);
  REFLUX_ASSIGN_OR_RETURN(Job * job, Find(job_id));
  Send(*job, job_event::Cancel{});
  return Snapshot(*job);
}

absl::StatusOr<v1::ReadLogResponse> Orchestrator::Impl::ReadLog(
    const v1::ReadLogRequest& request) const {
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

absl::StatusOr<v1::Job> Orchestrator::Impl::AwaitChange(const std::string& job_id, int64_t* version,
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

absl::Status Orchestrator::Impl::Shutdown(absl::Time deadline) {
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

absl::StatusOr<Orchestrator::Impl::Job*> Orchestrator::Impl::Find(const std::string& job_id) const {
  const auto found = jobs_.find(job_id);
  if (found != jobs_.end()) return found->second.get();
  return absl::NotFoundError(absl::StrCat("no job ", job_id));
}

const Orchestrator::Impl::Job* Orchestrator::Impl::FindRequest(
    const std::string& request_id) const {
  if (request_id.empty()) return nullptr;
  for (const auto& [id, job] : jobs_) {
    if (job->record.request_id() == request_id) return job.get();
  }
  return nullptr;
}

v1::Job Orchestrator::Impl::Snapshot(const Job& job) const {
  v1::Job view = DescribeJob(job.record);
  for (v1::Process& process : pool_.Processes(job.record.job_id())) {
    *view.add_processes() = std::move(process);
  }
  return view;
}

absl::StatusOr<std::vector<std::string>> Orchestrator::Impl::LogFiles(
    const Job& job, const std::string& role) const {
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

int Orchestrator::Impl::LivingRanks() const {
  int living = 0;
  for (const auto& [id, job] : jobs_) {
    for (const store::Rank& rank : job->record.status().ranks()) {
      living += rank.phase() != store::Rank::EXITED;
    }
  }
  return living;
}

}  // namespace reflux
