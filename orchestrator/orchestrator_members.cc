// Calls of the processes that were started.
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/base/build_version.h"
#include "common/base/status_macros.h"
#include "orchestrator/job_view.h"
#include "orchestrator/orchestrator_impl.h"

namespace reflux {

absl::StatusOr<v1::RegisterResponse> Orchestrator::Impl::Register(
    const v1::RegisterRequest& request) {
  if (absl::string_view(request.build_version()) != BuildVersion()) {
    return absl::UnimplementedError(absl::StrCat(request.role(), " is of build ",
                                                 request.build_version(), ", this orchestrator of ",
                                                 BuildVersion(), ": use programs of one build"));
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

absl::Status Orchestrator::Impl::RegisterWorker(Job& job, const v1::RegisterRequest& request) {
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

absl::StatusOr<v1::HeartbeatResponse> Orchestrator::Impl::Heartbeat(
    const v1::HeartbeatRequest& request) {
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

absl::Status Orchestrator::Impl::CheckGeneration(const Job& job, int generation) const {
  if (generation == job.record.status().generation()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("generation ", generation, " of job ",
                                                    job.record.job_id(), " is over: generation ",
                                                    job.record.status().generation(), " runs"));
}

void Orchestrator::Impl::TakeProgress(Job& job, const v1::Progress& progress) {
  if (progress.SerializeAsString() == job.record.progress().SerializeAsString()) return;
  *job.record.mutable_progress() = progress;
  ++job.version;
  metrics_.SetProgress(job.record);
  Send(job, job_event::Progress{job.record.status().generation(), progress.step(),
                                progress.checkpoint()});
}

absl::StatusOr<v1::ResolveResponse> Orchestrator::Impl::Resolve(
    const v1::ResolveRequest& request) const {
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

}  // namespace reflux
