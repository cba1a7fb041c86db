// Servers that answer from what a test has put into them, on a free port.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cli/terminal.h"
#include "common/base/mutex.h"
#include "common/rpc/server.h"
#include "reflux/v1/jobs.grpc.pb.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {

// Set up the fields before the first call; `requests` are read after the last.
class FakeJobService : public v1::JobService::Service {
 public:
  grpc::Status SubmitJob(grpc::ServerContext*, const v1::SubmitJobRequest* request,
                         v1::Job* response) override {
    submitted.push_back(*request);
    *response = Job(v1::JOB_STATE_QUEUED);
    return submit_status;
  }
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::Job* response) override {
    if (request->job_id() != "job-1")
      return {grpc::StatusCode::NOT_FOUND, "no job " + request->job_id()};
    *response = described;
    return grpc::Status::OK;
  }
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*,
                        v1::ListJobsResponse* response) override {
    *response->add_jobs() = described;
    return grpc::Status::OK;
  }
  // One stream a call: the updates of that call, then its status.
  grpc::Status WatchJob(grpc::ServerContext* context, const v1::GetJobRequest*,
                        grpc::ServerWriter<v1::Job>* writer) override {
    if (streams.empty()) return {grpc::StatusCode::NOT_FOUND, "no such job"};
    const Stream stream = streams.front();
    streams.erase(streams.begin());
    for (const v1::Job& job : stream.updates) writer->Write(job);
    if (stream.then) stream.then(*context);
    return stream.status;
  }
  grpc::Status CancelJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                         v1::Job* response) override {
    cancelled = request->job_id();
    *response = Job(v1::JOB_STATE_CANCELLING);
    return grpc::Status::OK;
  }
  grpc::Status ReadLog(grpc::ServerContext*, const v1::ReadLogRequest* request,
                       v1::ReadLogResponse* response) override {
    log_requests.push_back(*request);
    *response = log_parts.front();
    log_parts.erase(log_parts.begin());
    return grpc::Status::OK;
  }

  static v1::Job Job(v1::JobState state, int step = 0) {
    v1::Job job;
    job.set_job_id("job-1");
    job.mutable_spec()->set_name("small");
    job.mutable_spec()->mutable_losses()->mutable_kd();
    job.set_state(state);
    if (step > 0) {
      v1::Progress& progress = *job.mutable_progress();
      progress.set_step(step);
      progress.set_total_steps(100);
      progress.set_phase("training");
      (*progress.mutable_losses())["total"] = 1.5;
      (*progress.mutable_losses())["kd"] = 0.25;
      progress.set_miou(41.5);
      progress.set_images_per_second(3);
      progress.set_wait_for_targets_seconds(0.012);
    }
    return job;
  }

  struct Stream {
    std::vector<v1::Job> updates;
    grpc::Status status = grpc::Status::OK;
    std::function<void(grpc::ServerContext&)> then;
  };
  std::vector<Stream> streams;
  std::vector<v1::SubmitJobRequest> submitted;
  grpc::Status submit_status = grpc::Status::OK;
  v1::Job described = Job(v1::JOB_STATE_RUNNING, 40);
  std::string cancelled;
  std::vector<v1::ReadLogRequest> log_requests;
  std::vector<v1::ReadLogResponse> log_parts;
};

class FakeMembership : public v1::MembershipService::Service {
 public:
  grpc::Status Resolve(grpc::ServerContext*, const v1::ResolveRequest* request,
                       v1::ResolveResponse* response) override {
    const auto found = addresses.find(request->name());
    if (found == addresses.end()) return {grpc::StatusCode::NOT_FOUND, "has not registered"};
    response->set_address(found->second);
    return grpc::Status::OK;
  }
  std::map<std::string, std::string> addresses;  // by role
};

class FakeCacheAdmin : public v1::CacheAdminService::Service {
 public:
  grpc::Status Stats(grpc::ServerContext*, const v1::CacheStatsRequest*,
                     v1::CacheStats* response) override {
    *response = stats;
    return grpc::Status::OK;
  }
  grpc::Status ListTargetSets(grpc::ServerContext*, const v1::ListTargetSetsRequest*,
                              v1::ListTargetSetsResponse* response) override {
    *response = sets;
    return grpc::Status::OK;
  }
  grpc::Status Verify(grpc::ServerContext*, const v1::VerifyRequest*,
                      v1::VerifyResponse* response) override {
    *response = verified;
    return grpc::Status::OK;
  }
  grpc::Status RemoveTargetSets(grpc::ServerContext*, const v1::RemoveTargetSetsRequest* request,
                                v1::RemoveTargetSetsResponse* response) override {
    removals.push_back(*request);
    *response->mutable_sets() = sets.sets();
    return removal_status;
  }
  grpc::Status PinTargetSets(grpc::ServerContext*, const v1::PinTargetSetsRequest* request,
                             v1::ListTargetSetsResponse* response) override {
    pins.push_back(*request);
    *response = sets;
    return grpc::Status::OK;
  }
  grpc::Status CollectGarbage(grpc::ServerContext*, const v1::CollectGarbageRequest* request,
                              v1::CollectGarbageResponse* response) override {
    collections.push_back(*request);
    *response = collected;
    return grpc::Status::OK;
  }
  v1::CacheStats stats;
  v1::ListTargetSetsResponse sets;
  v1::VerifyResponse verified;
  std::vector<v1::RemoveTargetSetsRequest> removals;
  grpc::Status removal_status = grpc::Status::OK;
  std::vector<v1::PinTargetSetsRequest> pins;
  std::vector<v1::CollectGarbageRequest> collections;
  v1::CollectGarbageResponse collected;
};

class FakeTeacher : public v1::TargetService::Service {
 public:
  grpc::Status GetTeacherInfo(grpc::ServerContext*, const v1::GetTeacherInfoRequest*,
                              v1::TeacherInfo* response) override {
    *response = info;
    return grpc::Status::OK;
  }
  v1::TeacherInfo info;
};

// A terminal that is a pair of strings.
struct Captured {
  std::ostringstream out, err;
  Terminal terminal{out, err};
};

// The services of one test, served until its end.
struct FakeServers {
  FakeServers() {
    auto started = RpcServer::Start({}, {&jobs, &members, &cache, &teacher});
    server = *std::move(started);
  }
  ~FakeServers() { server->Shutdown(absl::Seconds(5)); }
  const std::string& address() const { return server->address(); }

  FakeJobService jobs;
  FakeMembership members;
  FakeCacheAdmin cache;
  FakeTeacher teacher;
  std::unique_ptr<RpcServer> server;
};

}  // namespace reflux
