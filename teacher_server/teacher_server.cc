#include "teacher_server/teacher_server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "teacher_server/canary.h"

namespace reflux {
namespace {

// A teacher with the batching before it.
class BatchedTeacher : public TargetSource {
 public:
  BatchedTeacher(std::shared_ptr<TargetSource> teacher, const BatchingOptions& options,
                 const BatchingMetrics& metrics)
      : teacher_(std::move(teacher)), batching_(MakeBatchingSource(*teacher_, options, metrics)) {}
  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override {
    return batching_->Fetch(context, request, sink);
  }
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
    return teacher_->GetTeacherInfo(context);
  }

 private:
  const std::shared_ptr<TargetSource> teacher_;
  const std::unique_ptr<TargetSource> batching_;
};

}  // namespace

TeacherServer::TeacherServer(TeacherLoader loader, const TeacherServerOptions& options,
                             MetricRegistry* registry)
    : loader_(std::move(loader)), options_(options) {
  if (registry == nullptr) return;
  metrics_ = TeacherServerMetrics::Register(*registry);
  batching_metrics_ = BatchingMetrics::Register(*registry);
}

absl::StatusOr<std::unique_ptr<TeacherServer>> TeacherServer::Start(
    TeacherLoader loader, const TeacherServerOptions& options, MetricRegistry* registry) {
  auto server =
      std::unique_ptr<TeacherServer>(new TeacherServer(std::move(loader), options, registry));
  REFLUX_RETURN_IF_ERROR(server->Load());
  server->service_ =
      MakeTargetService(server->teacher_, {},
                        registry == nullptr ? TargetServiceMetrics{}
                                            : TargetServiceMetrics::Register(*registry, "teacher"));
  const std::string& file = options.endpoint_file;
  REFLUX_ASSIGN_OR_RETURN(
      server->rpc_, RpcServer::Start({.address = options.listen,
                                      .insecure = options.insecure,
                                      .preferred_port = file.empty() ? 0 : PublishedPort(file),
                                      .max_receive_bytes = kTargetServiceMaxReceiveBytes},
                                     {server->service_.get()}));
  if (!file.empty()) REFLUX_RETURN_IF_ERROR(PublishEndpoint(file, server->address()));
  server->rpc_->SetServing(true);
  server->maintenance_ = std::thread([raw = server.get()] { raw->Maintain(); });
  return server;
}

TeacherServer::~TeacherServer() { StopMaintenance(); }

absl::Status TeacherServer::Load() {
  REFLUX_ASSIGN_OR_RETURN(ServedTeacher loaded, loader_());
  if (loaded.begin_runner) loaded.begin_runner();  // this thread runs the canary
  REFLUX_ASSIGN_OR_RETURN(const Digest canary, RunCanary(*loaded.source, loaded.identity));
  if (loaded.bit_exact && !options_.canary_directory.empty()) {
    REFLUX_RETURN_IF_ERROR(CompareCanary(options_.canary_directory, loaded.identity, canary));
  }
  const BatchingOptions batching{.queue = {.max_batch = loaded.identity.numerics.batch,
                                           .max_delay = options_.max_delay,
                                           .max_queue = options_.max_queue,
                                           .runners = options_.runners},
                                 .begin_runner = loaded.begin_runner,
                                 .clock = options_.clock};
  teacher_.Switch(std::make_shared<BatchedTeacher>(loaded.source, batching, batching_metrics_),
                  loaded.identity);
  served_ = std::move(loaded);
  canary_ = canary;
  metrics_.canary_ok.Set(1);
  return absl::OkStatus();
}

void TeacherServer::RequestReload() {
  MutexLock lock(mutex_);
  reload_ = true;
  changed_.NotifyAll();
}

void TeacherServer::Maintain() {
  if (served_.begin_runner) served_.begin_runner();
  absl::Duration next_canary = options_.clock->Uptime() + options_.canary_interval;
  while (true) {
    bool reload = false;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && !reload_ && options_.clock->Uptime() < next_canary) {
        options_.clock->WaitUntilUptime(changed_, mutex_, next_canary);
      }
      if (stopping_) return;
      reload = std::exchange(reload_, false);
    }
    reload ? Reload() : CheckCanary();
    next_canary = options_.clock->Uptime() + options_.canary_interval;
  }
}

void TeacherServer::Reload() {
  const TeacherIdentity before = served_.identity;
  const absl::Status status = Load();
  if (!status.ok()) {
    metrics_.failed_reloads.Increment();
    spdlog::error("the teacher stays as it is, reloading failed: {}",
                  std::string(status.message()));
    return;
  }
  metrics_.reloads.Increment();
  rpc_->SetServing(true);
  spdlog::info(
      "the teacher was loaded again: {}",
      served_.identity == before ? "the same" : DescribeDifference(served_.identity, before));
}

void TeacherServer::CheckCanary() {
  if (served_.source == nullptr) return;  // refused already
  metrics_.canary_runs.Increment();
  const absl::StatusOr<Digest> answer = RunCanary(*served_.source, served_.identity);
  if (answer.ok() && (!served_.bit_exact || *answer == canary_)) return;
  const absl::Status wrong = absl::UnavailableError(
      answer.ok()
          ? "this teacher computes other logits for the canary image than when it was loaded"
          : std::string(answer.status().message()));
  spdlog::critical("no longer serving: {}", std::string(wrong.message()));
  metrics_.canary_ok.Set(0);
  rpc_->SetServing(false);
  teacher_.Refuse(wrong);
  served_.source = nullptr;
  if (options_.on_wrong_arithmetic) options_.on_wrong_arithmetic();
}

void TeacherServer::StopMaintenance() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (maintenance_.joinable()) maintenance_.join();
}

void TeacherServer::Shutdown(absl::Duration grace) {
  if (!options_.endpoint_file.empty()) WithdrawEndpoint(options_.endpoint_file, address());
  rpc_->SetServing(false);
  StopMaintenance();  // a reload would serve again
  // Requests are refused here, and the connections closed when none is under way: a server that
  // closes a connection on which calls still arrive resets it, and answers on their way are lost.
  const absl::Time deadline = absl::Now() + grace;
  teacher_.Refuse(absl::UnavailableError("this teacher server is stopping"));
  teacher_.AwaitIdle(deadline);
  rpc_->Shutdown(std::max(deadline - absl::Now(), absl::ZeroDuration()));
}

TeacherServerMetrics TeacherServerMetrics::Register(MetricRegistry& registry) {
  return {.canary_ok = registry.AddGauge("reflux_teacher_canary_ok",
                                         "1 while the canary image gives the answer of load time."),
          .canary_runs = registry.AddCounter("reflux_teacher_canary_runs_total",
                                             "Times the canary image was run again."),
          .reloads = registry.AddCounter("reflux_teacher_reloads_total", "Checkpoints taken over."),
          .failed_reloads = registry.AddCounter("reflux_teacher_failed_reloads_total",
                                                "Reloads that left the teacher as it was.")};
}

}  // namespace reflux
