#include "orchestrator/orchestrator.h"

#include "common/base/status_macros.h"
#include "orchestrator/orchestrator_impl.h"

namespace reflux {

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
