#include "orchestrator/job_service.h"

#include <utility>

#include "absl/time/clock.h"
#include "common/rpc/status.h"

namespace reflux {
namespace {

template <typename Response>
grpc::Status Answer(absl::StatusOr<Response> result, Response* response) {
  if (!result.ok()) return ToGrpc(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

class JobServiceImpl : public v1::JobService::Service {
 public:
  explicit JobServiceImpl(Orchestrator& orchestrator) : orchestrator_(orchestrator) {}

  grpc::Status SubmitJob(grpc::ServerContext*, const v1::SubmitJobRequest* request,
                         v1::Job* response) override {
    return Answer(orchestrator_.Submit(*request), response);
  }
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::Job* response) override {
    return Answer(orchestrator_.Get(request->job_id()), response);
  }
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*,
                        v1::ListJobsResponse* response) override {
    *response = orchestrator_.List();
    return grpc::Status::OK;
  }
  grpc::Status CancelJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                         v1::Job* response) override {
    return Answer(orchestrator_.Cancel(request->job_id()), response);
  }
  grpc::Status ReadLog(grpc::ServerContext*, const v1::ReadLogRequest* request,
                       v1::ReadLogResponse* response) override {
    return Answer(orchestrator_.ReadLog(*request), response);
  }

  grpc::Status WatchJob(grpc::ServerContext* context, const v1::GetJobRequest* request,
                        grpc::ServerWriter<v1::Job>* writer) override {
    // How soon a client that went away is noticed.
    constexpr absl::Duration kPoll = absl::Milliseconds(500);
    int64_t version = 0;
    while (!context->IsCancelled()) {
      const int64_t before = version;
      const absl::StatusOr<v1::Job> job =
          orchestrator_.AwaitChange(request->job_id(), &version, absl::Now() + kPoll);
      if (!job.ok()) return ToGrpc(job.status());
      if (version != before && !writer->Write(*job)) break;
      if (IsFinal(job->state())) return grpc::Status::OK;
    }
    return grpc::Status::CANCELLED;
  }

 private:
  Orchestrator& orchestrator_;
};

class MembershipServiceImpl : public v1::MembershipService::Service {
 public:
  explicit MembershipServiceImpl(Orchestrator& orchestrator) : orchestrator_(orchestrator) {}

  grpc::Status Register(grpc::ServerContext*, const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override {
    return Answer(orchestrator_.Register(*request), response);
  }
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    return Answer(orchestrator_.Heartbeat(*request), response);
  }
  grpc::Status Resolve(grpc::ServerContext*, const v1::ResolveRequest* request,
                       v1::ResolveResponse* response) override {
    return Answer(orchestrator_.Resolve(*request), response);
  }

 private:
  Orchestrator& orchestrator_;
};

}  // namespace

std::unique_ptr<v1::JobService::Service> MakeJobService(Orchestrator& orchestrator) {
  return std::make_unique<JobServiceImpl>(orchestrator);
}

std::unique_ptr<v1::MembershipService::Service> MakeMembershipService(Orchestrator& orchestrator) {
  return std::make_unique<MembershipServiceImpl>(orchestrator);
}

}  // namespace reflux
