#include "common/membership/membership_client.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/build_version.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/status.h"
#include "reflux/v1/jobs.grpc.pb.h"

namespace reflux {

absl::Status MembershipOptions::Validate() const {
  if (orchestrator.empty()) return absl::InvalidArgumentError("--orchestrator is missing");
  if (launch_id.empty()) return absl::InvalidArgumentError("--launch-id is missing");
  if (role.empty()) return absl::InvalidArgumentError("the role of this process is missing");
  if (min_retry <= absl::ZeroDuration() || max_retry < min_retry ||
      call_timeout <= absl::ZeroDuration() || max_heartbeat_interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("membership: intervals must be positive");
  }
  return absl::OkStatus();
}

class MembershipClient::Impl {
 public:
  Impl(const MembershipOptions& options, MembershipCallbacks callbacks)
      : options_(options), callbacks_(std::move(callbacks)), thread_([this] { Run(); }) {}

  ~Impl() {
    {
      MutexLock lock(mutex_);
      ending_ = true;
      for (grpc::ClientContext* call : calls_) call->TryCancel();
      changed_.NotifyAll();
    }
    thread_.join();
  }

  absl::Status Await(absl::Time deadline, std::shared_ptr<Cancellation> cancellation,
                     bool with_store) {
    const auto wake = [this] {
      MutexLock lock(mutex_);
      changed_.NotifyAll();
    };
    // Before the lock: an already cancelled flag runs the callback here.
    const auto on_cancel = cancellation ? cancellation->OnCancel(wake) : nullptr;
    const auto on_stop = stop_->OnCancel(wake);
    MutexLock lock(mutex_);
    while (true) {
      if (!refused_.ok()) return refused_;
      if (with_store ? !store_address_.empty() : registered_) return absl::OkStatus();
      if (stop_->cancelled()) return absl::CancelledError("the orchestrator asked to stop");
      if (cancellation && cancellation->cancelled()) return absl::CancelledError("stopping");
      if (absl::Now() >= deadline) {
        return absl::DeadlineExceededError(absl::StrCat(
            with_store ? "rank 0 has not reported its store" : "not registered", " with ",
            options_.orchestrator, "; last answer: ", last_error_.ToString()));
      }
      changed_.WaitUntil(mutex_, deadline);
    }
  }

  std::string store_address() const {
    MutexLock lock(mutex_);
    return store_address_;
  }

  const std::shared_ptr<Cancellation>& stop() const { return stop_; }

  absl::Status Heartbeat(absl::Duration timeout) {
    v1::HeartbeatRequest request;
    request.set_launch_id(options_.launch_id);
    request.set_job_id(options_.job_id);
    request.set_generation(options_.generation);
    if (callbacks_.progress) *request.mutable_progress() = callbacks_.progress();
    v1::HeartbeatResponse response;
    REFLUX_RETURN_IF_ERROR(Call(timeout, [&](auto& stub, grpc::ClientContext* context) {
      return stub.Heartbeat(context, request, &response);
    }));
    if (response.stop()) stop_->Cancel();
    return absl::OkStatus();
  }

 private:
  absl::Status Register() {
    v1::RegisterRequest request;
    request.set_launch_id(options_.launch_id);
    request.set_job_id(options_.job_id);
    request.set_role(options_.role);
    request.set_generation(options_.generation);
    request.set_pid(getpid());
    request.set_address(options_.address);
    request.set_metrics_address(options_.metrics_address);
    request.set_store_address(options_.store_address);
    request.set_build_version(std::string(BuildVersion()));
    v1::RegisterResponse response;
    REFLUX_RETURN_IF_ERROR(
        Call(options_.call_timeout, [&](auto& stub, grpc::ClientContext* context) {
          return stub.Register(context, request, &response);
        }));
    MutexLock lock(mutex_);
    registered_ = true;
    lease_ = absl::Milliseconds(std::clamp<int64_t>(response.lease_ms(), 30, 3600000));
    if (!response.store_address().empty()) store_address_ = response.store_address();
    changed_.NotifyAll();
    return absl::OkStatus();
  }

  // A channel of its own for each call after an error: the address may have changed, and a channel
  // would wait out its own back-off.
  template <typename Method>
  absl::Status Call(absl::Duration timeout, Method method) {
    std::shared_ptr<grpc::Channel> channel;
    {
      MutexLock lock(mutex_);
      channel = channel_;
    }
    if (channel == nullptr) {
      REFLUX_ASSIGN_OR_RETURN(const std::string address, ResolveEndpoint(options_.orchestrator));
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      // Job traffic stays on the cluster: no proxy.
      arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
      channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    }
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    {
      MutexLock lock(mutex_);
      if (ending_) return absl::CancelledError("the membership client ends");
      calls_.insert(&context);
    }
    v1::MembershipService::Stub stub(channel);
    const absl::Status status = FromGrpc(method(stub, &context));
    MutexLock lock(mutex_);
    calls_.erase(&context);
    channel_ = status.ok() ? channel : nullptr;
    return status;
  }

  void Run() {
    absl::Duration retry = options_.min_retry;
    while (true) {
      const absl::Status status = Step();
      if (absl::IsFailedPrecondition(status) || absl::IsUnimplemented(status)) {
        Refuse(status);
        return;
      }
      MutexLock lock(mutex_);
      last_error_ = status;
      // Unknown to this orchestrator (its state is new): introduce ourselves again.
      if (absl::IsNotFound(status)) registered_ = false;
      const bool waits = !status.ok() || (options_.wants_store_address && store_address_.empty());
      const absl::Duration pause =
          waits ? retry : std::min(lease_ / 3, options_.max_heartbeat_interval);
      retry = waits ? std::min(retry * 2, options_.max_retry) : options_.min_retry;
      // While rank 0's store is awaited the orchestrator answers: ask often.
      if (waits && status.ok()) retry = options_.min_retry;
      const absl::Time until = absl::Now() + pause;
      while (!ending_ && absl::Now() < until) changed_.WaitUntil(mutex_, until);
      if (ending_) return;
    }
  }

  absl::Status Step() {
    bool must_register = false;
    {
      MutexLock lock(mutex_);
      must_register = !registered_ || (options_.wants_store_address && store_address_.empty());
    }
    if (must_register) REFLUX_RETURN_IF_ERROR(Register());
    return Heartbeat(options_.call_timeout);
  }

  void Refuse(const absl::Status& status) {
    {
      MutexLock lock(mutex_);
      refused_ = status;
      changed_.NotifyAll();
    }
    if (callbacks_.refused) callbacks_.refused(status);
  }

  const MembershipOptions options_;
  const MembershipCallbacks callbacks_;
  const std::shared_ptr<Cancellation> stop_ = std::make_shared<Cancellation>();
  mutable Mutex mutex_;
  CondVar changed_;
  bool ending_ REFLUX_GUARDED_BY(mutex_) = false;
  bool registered_ REFLUX_GUARDED_BY(mutex_) = false;
  absl::Duration lease_ REFLUX_GUARDED_BY(mutex_) = absl::Seconds(1);
  std::string store_address_ REFLUX_GUARDED_BY(mutex_);
  absl::Status last_error_ REFLUX_GUARDED_BY(mutex_);
  absl::Status refused_ REFLUX_GUARDED_BY(mutex_);
  std::shared_ptr<grpc::Channel> channel_ REFLUX_GUARDED_BY(mutex_);
  std::set<grpc::ClientContext*> calls_ REFLUX_GUARDED_BY(mutex_);
  std::thread thread_;  // last: starts when all else is there
};

absl::StatusOr<std::unique_ptr<MembershipClient>> MembershipClient::Start(
    const MembershipOptions& options, MembershipCallbacks callbacks) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return std::unique_ptr<MembershipClient>(
      new MembershipClient(std::make_unique<Impl>(options, std::move(callbacks))));
}

MembershipClient::MembershipClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MembershipClient::~MembershipClient() = default;

absl::Status MembershipClient::AwaitRegistered(absl::Time deadline,
                                               std::shared_ptr<Cancellation> cancellation) {
  return impl_->Await(deadline, std::move(cancellation), /*with_store=*/false);
}

absl::StatusOr<std::string> MembershipClient::AwaitStoreAddress(
    absl::Time deadline, std::shared_ptr<Cancellation> cancellation) {
  REFLUX_RETURN_IF_ERROR(impl_->Await(deadline, std::move(cancellation), /*with_store=*/true));
  return impl_->store_address();
}

const std::shared_ptr<Cancellation>& MembershipClient::stop_requested() const {
  return impl_->stop();
}

absl::Status MembershipClient::ReportNow(absl::Duration timeout) {
  return impl_->Heartbeat(timeout);
}

}  // namespace reflux
