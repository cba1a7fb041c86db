#include "common/targets/target_service.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/rpc/lent_memory.h"
#include "common/rpc/status.h"
#include "common/targets/target_part.h"
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

void SetError(const absl::Status& status, v1::TargetError* error) {
  error->set_code(static_cast<int>(status.code()));
  error->set_message(std::string(status.message()));
  error->set_sample_needed(IsSampleNeeded(status));
}

void SetPayload(const EncodedTarget& target, v1::TargetHeader::Payload* payload) {
  payload->set_dtype(static_cast<v1::DType>(target.dtype));
  payload->set_codec(static_cast<v1::Codec>(target.codec));
  for (int32_t side : target.shape) payload->add_shape(side);
  payload->set_bytes(target.bytes.size());
  payload->set_checksum(target.checksum);
}

using TargetWriter = grpc::ServerSplitStreamer<v1::FetchRequest, grpc::ByteBuffer>;

// Writes each target to the stream, from where it lies. gRPC's flow control blocks Write: the
// back-pressure.
class StreamSink : public TargetSink {
 public:
  StreamSink(TargetWriter& writer, LentMemory& lent, Cancellation& cancellation,
             int64_t chunk_bytes, bool discard, const TargetServiceMetrics& metrics)
      : writer_(writer),
        lent_(lent),
        cancellation_(cancellation),
        chunk_bytes_(static_cast<size_t>(chunk_bytes)),
        discard_(discard),
        metrics_(metrics) {}

  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    v1::TargetHeader header;
    header.set_sample(sample);
    header.set_spec(spec);
    if (target.ok() && discard_) {
      header.mutable_stored();
    } else if (target.ok()) {
      SetPayload(*target, header.mutable_payload());
    } else {
      SetError(target.status(), header.mutable_error());
      metrics_.errors.Increment();
    }
    const bool more = header.has_payload();
    Write(HeaderPart(std::move(header)), more);
    if (more) WriteBytes(*std::move(target));
  }

 private:
  void WriteBytes(EncodedTarget target) {
    const size_t size = target.bytes.size();
    const grpc::Slice all = lent_.Lend(target.bytes, std::move(target.owner));
    for (size_t at = 0; at < size; at += chunk_bytes_) {
      Write(ChunkPart(all.sub(at, std::min(size, at + chunk_bytes_))), false);
    }
    metrics_.targets.Increment();
    metrics_.bytes.Increment(size);
  }
  // `more`: it need not go out before the message that follows. The first must: gRPC would wait for
  // the call's metadata to be sent, and not send it.
  void Write(const grpc::ByteBuffer& message, bool more) {
    if (broken_) return;
    grpc::WriteOptions options;
    if (more && begun_) options.set_buffer_hint();
    begun_ = true;
    broken_ = !writer_.Write(message, options);
    if (broken_) cancellation_.Cancel();
  }

  TargetWriter& writer_;
  LentMemory& lent_;
  Cancellation& cancellation_;
  const size_t chunk_bytes_;
  const bool discard_;
  TargetServiceMetrics metrics_;
  bool begun_ = false, broken_ = false;
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
    absl::StatusOr<TargetRequest> request = FromProto(std::move(message));
    if (!request.ok()) return request.status();
    if (discard && options_.storing == nullptr) {
      return absl::FailedPreconditionError(
          "discard: this server stores nothing; ask a cache server");
    }
    FetchContext fetch{.deadline = Deadline(context),
                       .cancellation = std::make_shared<Cancellation>(),
                       .priority = prefill ? Priority::kPrefill : Priority::kStudent};
    StreamSink sink(stream, lent_, *fetch.cancellation, options_.chunk_bytes, discard, metrics_);
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
