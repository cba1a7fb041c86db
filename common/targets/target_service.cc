#include "common/targets/target_service.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/boot_id.h"
#include "common/base/mutex.h"
#include "common/rpc/status.h"
#include "common/targets/stream_sink.h"
#include "common/targets/wire.h"

namespace reflux {
namespace {

// Cancels `cancellation` when the client goes away; polls, since the synchronous gRPC API has no
// callback for it. One thread serves all calls of a service.
class DisconnectWatch {
 public:
  DisconnectWatch() : thread_([this] { Loop(); }) {}
  ~DisconnectWatch() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    thread_.join();
  }

  void Add(grpc::ServerContext* context, std::shared_ptr<Cancellation> cancellation) {
    MutexLock lock(mutex_);
    calls_.emplace_back(context, std::move(cancellation));
    changed_.NotifyAll();
  }
  void Remove(grpc::ServerContext* context) {
    MutexLock lock(mutex_);
    std::erase_if(calls_, [&](const auto& call) { return call.first == context; });
  }

 private:
  void Loop() {
    MutexLock lock(mutex_);
    while (!stopping_) {
      if (calls_.empty()) {
        changed_.Wait(mutex_);
        continue;
      }
      for (auto& [context, cancellation] : calls_) {
        if (context->IsCancelled()) cancellation->Cancel();
      }
      changed_.WaitUntil(mutex_, absl::Now() + absl::Milliseconds(100));
    }
  }

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ REFLUX_GUARDED_BY(mutex_) = false;
  std::vector<std::pair<grpc::ServerContext*, std::shared_ptr<Cancellation>>> calls_
      REFLUX_GUARDED_BY(mutex_);
  std::thread thread_;
};

class Service : public v1::TargetService::Service {
 public:
  Service(TargetSource& source, const TargetServiceOptions& options,
          const TargetServiceMetrics& metrics)
      : source_(source), options_(options), metrics_(metrics) {
    // As the generated WithSplitStreamingMethod_Fetch, except that answers are bytes which were
    // made ready before.
    using Handler = grpc::internal::SplitServerStreamingHandler<v1::FetchRequest, grpc::ByteBuffer>;
    MarkMethodStreamed(kFetchMethod,
                       new Handler([this](grpc::ServerContext* context, TargetWriter* stream) {
                         return ServeFetch(*context, *stream);
                       }));
  }

  grpc::Status GetTeacherInfo(grpc::ServerContext* context, const v1::GetTeacherInfoRequest*,
                              v1::TeacherInfo* answer) override {
    FetchContext fetch{.deadline = Deadline(*context)};
    absl::StatusOr<TeacherInfo> info = source_.GetTeacherInfo(fetch);
    if (!info.ok()) return ToGrpc(info.status());
    *answer = ToProto(*info);
    return grpc::Status::OK;
  }

 private:
  static constexpr int kFetchMethod = 0;  // by its place in targets.proto

  grpc::Status ServeFetch(grpc::ServerContext& context, TargetWriter& stream) {
    const absl::Time start = absl::Now();
    if (running_.fetch_add(1) >= options_.max_concurrent_fetches) {
      running_.fetch_sub(1);
      return grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many fetches at once");
    }
    const absl::Status status = Run(context, stream);
    running_.fetch_sub(1);
    metrics_.fetch_seconds.Observe(absl::ToDoubleSeconds(absl::Now() - start));
    return ToGrpc(status);
  }

  absl::Status Run(grpc::ServerContext& context, TargetWriter& stream) {
    v1::FetchRequest message;
    if (!stream.Read(&message)) return absl::InvalidArgumentError("the call has no FetchRequest");
    const bool discard = message.discard(), prefill = message.prefill();
    const bool on_this_host = !message.host().empty() && message.host() == host_;
    absl::StatusOr<TargetRequest> request = FromProto(std::move(message));
    if (!request.ok()) return request.status();
    if (discard && options_.storing == nullptr) {
      return absl::FailedPreconditionError(
          "discard: this server stores nothing; ask a cache server");
    }
    FetchContext fetch{.deadline = Deadline(context),
                       .cancellation = std::make_shared<Cancellation>(),
                       .priority = prefill ? Priority::kPrefill : Priority::kStudent};
    StreamSink sink(
        stream, lent_, *fetch.cancellation,
        {.chunk_bytes = options_.chunk_bytes, .discard = discard, .on_this_host = on_this_host},
        metrics_);
    watch_.Add(&context, fetch.cancellation);
    TargetSource& source = discard ? *options_.storing : source_;
    const absl::Status status = source.Fetch(fetch, *request, sink);
    watch_.Remove(&context);
    return status;
  }

  absl::Time Deadline(const grpc::ServerContext& context) const {
    const absl::Time limit = absl::Now() + options_.default_deadline;
    return std::min(limit, absl::FromChrono(context.deadline()));
  }

  TargetSource& source_;
  const TargetServiceOptions options_;
  TargetServiceMetrics metrics_;
  const std::string host_ = BootId();
  std::atomic<int> running_{0};
  DisconnectWatch watch_;
  LentMemory lent_;
};

}  // namespace

TargetServiceMetrics TargetServiceMetrics::Register(MetricRegistry& registry,
                                                    const std::string& component) {
  const std::string prefix = absl::StrCat("reflux_", component, "_");
  return {
      .targets = registry.AddCounter(prefix + "served_targets_total", "Targets sent to clients."),
      .bytes = registry.AddCounter(prefix + "served_bytes_total", "Bytes of targets sent."),
      .errors =
          registry.AddCounter(prefix + "failed_targets_total", "Targets answered by an error."),
      .fetch_seconds = registry.AddHistogram(prefix + "fetch_seconds", "Duration of Fetch calls.",
                                             LatencyBuckets())};
}

std::unique_ptr<v1::TargetService::Service> MakeTargetService(TargetSource& source,
                                                              const TargetServiceOptions& options,
                                                              const TargetServiceMetrics& metrics) {
  return std::make_unique<Service>(source, options, metrics);
}

}  // namespace reflux
