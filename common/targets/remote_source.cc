#include "common/targets/remote_source.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/status.h"
#include "common/targets/missing_targets.h"
#include "common/targets/wire.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

// A server that stops cancels calls which it has received and not begun: to the client, who did not
// cancel, it is gone.
absl::Status AsSeen(const grpc::Status& status, const FetchContext& context) {
  const bool by_caller = context.cancellation != nullptr && context.cancellation->cancelled();
  if (status.error_code() != grpc::StatusCode::CANCELLED || by_caller) return FromGrpc(status);
  return absl::UnavailableError(
      absl::StrCat("the server ended the call: ", status.error_message()));
}

// How long a server has not been reached.
class Outage {
 public:
  explicit Outage(absl::Duration give_up_after) : give_up_after_(give_up_after) {}
  // True when the tries, of which the last ended with `status`, have failed for long enough.
  bool GiveUp(const absl::Status& status) {
    if (!absl::IsUnavailable(status)) {
      since_ = absl::InfiniteFuture();
      return false;
    }
    const absl::Time now = absl::Now();
    since_ = std::min(since_, now);
    return now - since_ >= give_up_after_;
  }

 private:
  const absl::Duration give_up_after_;
  absl::Time since_ = absl::InfiniteFuture();
};

// Puts the parts of one stream together into targets. One target is in memory at a time.
class Assembler {
 public:
  // `discard`: as the call asked.
  explicit Assembler(bool discard) : discard_(discard) {}

  // Calls `deliver(sample, spec, target)` when a target is complete. DataLoss for a stream that
  // breaks the protocol.
  template <typename DeliverFn>
  absl::Status Add(v1::FetchResponse& part, DeliverFn deliver) {
    if (part.has_header()) {
      REFLUX_RETURN_IF_ERROR(Begin(part.header()));
      if (header_.has_error()) {
        pending_ = false;
        deliver(header_.sample(), header_.spec(), ErrorOf(header_.error()));
      } else if (header_.has_stored()) {
        pending_ = false;
        deliver(header_.sample(), header_.spec(), EncodedTarget());
      }
      return absl::OkStatus();
    }
    if (!pending_ ||
        bytes_.size() + part.chunk().size() > static_cast<size_t>(header_.payload().bytes())) {
      return absl::DataLossError("target stream: more bytes than announced");
    }
    bytes_.append(part.chunk());
    if (bytes_.size() < static_cast<size_t>(header_.payload().bytes())) return absl::OkStatus();
    pending_ = false;
    deliver(header_.sample(), header_.spec(), Finish());
    return absl::OkStatus();
  }

 private:
  absl::Status Begin(v1::TargetHeader header) {
    if (pending_) return absl::DataLossError("target stream: a target was cut short");
    header_ = std::move(header);
    pending_ = true;
    bytes_ = std::string();
    if (header_.has_error() || (discard_ && header_.has_stored())) return absl::OkStatus();
    const auto& payload = header_.payload();
    if (!header_.has_payload() || payload.bytes() <= 0 ||
        payload.bytes() > EncodedTarget::kMaxBytes || payload.shape_size() != 3 ||
        payload.dtype() < v1::DTYPE_FLOAT32 || payload.dtype() > v1::DTYPE_INT8 ||
        !IsCodec(payload.codec())) {
      return absl::DataLossError("target stream: a header is out of bounds");
    }
    bytes_.reserve(payload.bytes());
    return absl::OkStatus();
  }

  absl::StatusOr<EncodedTarget> Finish() {
    const auto& payload = header_.payload();
    EncodedTarget target = EncodedTarget::FromBytes(
        std::move(bytes_), static_cast<DType>(payload.dtype()), static_cast<Codec>(payload.codec()),
        {payload.shape(0), payload.shape(1), payload.shape(2)});
    if (target.checksum != payload.checksum()) {
      return absl::DataLossError("target: wrong checksum after transport");
    }
    REFLUX_RETURN_IF_ERROR(target.Verify());
    return target;
  }

  static absl::Status ErrorOf(const v1::TargetError& error) {
    if (error.code() <= 0 || error.code() > 16) return absl::UnknownError(error.message());
    absl::Status status(static_cast<absl::StatusCode>(error.code()), error.message());
    return error.sample_needed() ? SampleNeededError(SampleRef{}) : status;
  }

  const bool discard_;
  v1::TargetHeader header_;
  std::string bytes_;
  bool pending_ = false;
};

class RemoteSource : public TargetSource {
 public:
  RemoteSource(const RemoteSourceOptions& options, const RemoteSourceMetrics& metrics)
      : options_(options), metrics_(metrics) {}

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override;
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override;

 private:
  using Stub = v1::TargetService::Stub;

  struct Attempt {
    absl::Status status;        // of the call
    absl::Status last_failure;  // of a retryable target
    bool supplied_images = false;
  };

  absl::StatusOr<std::shared_ptr<Stub>> Connect();
  Attempt TryOnce(const FetchContext& context, TargetRequest& request, MissingTargets& missing,
                  TargetSink& sink);
  Attempt Read(grpc::ClientReader<v1::FetchResponse>& reader, const std::vector<size_t>& asked,
               TargetRequest& request, MissingTargets& missing, TargetSink& sink);
  bool SupplyImage(SampleRef& sample, absl::Status& failure);
  absl::Status SupplyLabel(SampleRef& sample);
  absl::Time TryDeadline(const FetchContext& context) const {
    return std::min(context.deadline, absl::Now() + options_.try_timeout);
  }

  const RemoteSourceOptions options_;
  RemoteSourceMetrics metrics_;
  Mutex mutex_;
  std::string connected_to_ REFLUX_GUARDED_BY(mutex_);
  std::shared_ptr<Stub> stub_ REFLUX_GUARDED_BY(mutex_);
};

// A new channel whenever the endpoint's address changed: a restarted server may have another port.
absl::StatusOr<std::shared_ptr<RemoteSource::Stub>> RemoteSource::Connect() {
  absl::StatusOr<std::string> address = ResolveEndpoint(options_.endpoint);
  if (!address.ok()) {
    if (absl::IsInvalidArgument(address.status())) return address.status();
    return absl::UnavailableError(
        absl::StrCat("target server not announced yet: ", address.status().message()));
  }
  MutexLock lock(mutex_);
  if (stub_ == nullptr || connected_to_ != *address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(4 << 20);
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::TargetService::NewStub(
        grpc::CreateCustomChannel(*address, grpc::InsecureChannelCredentials(), arguments));
    connected_to_ = *address;
  }
  return stub_;
}

absl::Status RemoteSource::Fetch(const FetchContext& context, const TargetRequest& original,
                                 TargetSink& sink) {
  REFLUX_RETURN_IF_ERROR(original.Validate());
  TargetRequest request = original;
  MissingTargets missing(request);
  const size_t all = missing.size();
  absl::Duration backoff = options_.min_backoff;
  absl::Status failure;
  Outage outage(options_.give_up_after);
  while (!missing.empty()) {
    if (absl::Status stop = context.Check(); !stop.ok()) {
      failure = failure.ok()
                    ? stop
                    : absl::Status(stop.code(),
                                   absl::StrCat(stop.message(), "; last try: ", failure.message()));
      break;
    }
    const size_t before = missing.size();
    const Attempt attempt = TryOnce(context, request, missing, sink);
    if (missing.empty()) return absl::OkStatus();
    failure = attempt.status.ok() ? attempt.last_failure : attempt.status;
    if (failure.ok() && attempt.supplied_images) continue;  // ask at once, with the bytes
    if (failure.ok())
      failure = absl::DataLossError("the server ended without answering everything");
    // A try that hung is tried again while the caller has time left.
    const bool hung = absl::IsDeadlineExceeded(attempt.status) && absl::Now() < context.deadline;
    if (!attempt.status.ok() && !IsRetryable(attempt.status) && !hung) break;
    if (options_.single_try) break;
    if (outage.GiveUp(hung ? absl::UnavailableError(attempt.status.message()) : attempt.status)) {
      failure = absl::UnavailableError(failure.message());
      break;
    }
    metrics_.retries.Increment();
    if (missing.size() < before) backoff = options_.min_backoff;
    const absl::Duration wished = std::min(RetryAfter(failure), absl::Minutes(1));
    SleepUntil(std::min(context.deadline, absl::Now() + std::max(backoff, wished)),
               context.cancellation.get());
    backoff = std::min(options_.max_backoff, backoff * 2);
  }
  if (missing.empty()) return absl::OkStatus();
  if (missing.size() == all) return failure;
  missing.Fail(failure, sink);
  return absl::OkStatus();
}

RemoteSource::Attempt RemoteSource::TryOnce(const FetchContext& context, TargetRequest& request,
                                            MissingTargets& missing, TargetSink& sink) {
  absl::StatusOr<std::shared_ptr<Stub>> stub = Connect();
  if (!stub.ok()) return {stub.status(), absl::OkStatus()};
  const MissingTargets::Rest rest = missing.Of(request);
  grpc::ClientContext call;
  call.set_deadline(absl::ToChronoTime(TryDeadline(context)));
  Cancellation::Registration on_cancel;
  if (context.cancellation != nullptr) {
    on_cancel = context.cancellation->OnCancel([&call] { call.TryCancel(); });
  }
  v1::FetchRequest message = ToProto(rest.request, context.priority);
  message.set_discard(options_.discard);
  auto reader = (*stub)->Fetch(&call, message);
  Attempt attempt = Read(*reader, rest.samples, request, missing, sink);
  if (!attempt.status.ok()) call.TryCancel();
  const absl::Status finished = AsSeen(reader->Finish(), context);
  if (attempt.status.ok()) attempt.status = finished;
  return attempt;
}

RemoteSource::Attempt RemoteSource::Read(grpc::ClientReader<v1::FetchResponse>& reader,
                                         const std::vector<size_t>& asked, TargetRequest& request,
                                         MissingTargets& missing, TargetSink& sink) {
  Attempt attempt;
  Assembler assembler(options_.discard);
  std::vector<bool> had_image;  // a server that got the image and still asks for it is refused
  for (size_t sample : asked) had_image.push_back(request.samples[sample].image != nullptr);
  const auto deliver = [&](size_t index, size_t spec, absl::StatusOr<EncodedTarget> target) {
    if (index >= asked.size() || spec >= request.specs.size()) return;
    const size_t sample = asked[index];
    if (!missing.Has(sample, spec)) return;
    if (!target.ok()) {
      absl::Status failure = target.status();
      if (IsSampleNeeded(failure) && !had_image[index] &&
          SupplyImage(request.samples[sample], failure)) {
        attempt.supplied_images = true;
        return;
      }
      if (IsRetryable(failure)) {
        attempt.last_failure = failure;
        return;
      }
      target = failure;
    } else {
      metrics_.targets.Increment();
      metrics_.bytes.Increment(target->bytes.size());
    }
    missing.Take(sample, spec);
    sink.Deliver(sample, spec, std::move(target));
  };
  v1::FetchResponse part;
  while (attempt.status.ok() && reader.Read(&part)) attempt.status = assembler.Add(part, deliver);
  return attempt;
}

// True when the next try can carry the image. Otherwise `failure` says why not.
bool RemoteSource::SupplyImage(SampleRef& sample, absl::Status& failure) {
  failure = SampleNeededError(sample);
  if (sample.image != nullptr) return true;  // another spec of the sample asked before
  if (options_.read_image == nullptr) return false;
  absl::StatusOr<std::string> image = options_.read_image(sample.locator);
  if (!image.ok()) {
    failure = image.status();
    return false;
  }
  if (Sha256::Of(*image) != sample.digest) {
    failure = absl::FailedPreconditionError(
        absl::StrCat(sample.locator.path, " has changed since its digest was taken"));
    return false;
  }
  if (const absl::Status label = SupplyLabel(sample); !label.ok()) {
    failure = label;
    return false;
  }
  metrics_.images_sent.Increment();
  sample.image = std::make_shared<const std::string>(*std::move(image));
  return true;
}

// The label beside the image, where a reduction reads it.
absl::Status RemoteSource::SupplyLabel(SampleRef& sample) {
  if (sample.label_digest.empty() || sample.label != nullptr) return absl::OkStatus();
  if (options_.read_label == nullptr) return SampleNeededError(sample);
  REFLUX_ASSIGN_OR_RETURN(LabelFile label, options_.read_label(sample.locator));
  if (LabelDigest(label) != sample.label_digest) {
    return absl::FailedPreconditionError(absl::StrCat("the label of ", sample.locator.path,
                                                      " has changed since its digest was taken"));
  }
  sample.label = std::make_shared<const LabelFile>(std::move(label));
  return absl::OkStatus();
}

absl::StatusOr<TeacherInfo> RemoteSource::GetTeacherInfo(const FetchContext& context) {
  absl::Duration backoff = options_.min_backoff;
  Outage outage(options_.give_up_after);
  while (true) {
    REFLUX_RETURN_IF_ERROR(context.Check());
    absl::Status status;
    absl::StatusOr<std::shared_ptr<Stub>> stub = Connect();
    if (stub.ok()) {
      grpc::ClientContext call;
      call.set_deadline(absl::ToChronoTime(TryDeadline(context)));
      v1::TeacherInfo answer;
      status = AsSeen((*stub)->GetTeacherInfo(&call, {}, &answer), context);
      if (status.ok()) return FromProto(answer);
    } else {
      status = stub.status();
    }
    if (options_.single_try || !IsRetryable(status) || absl::Now() + backoff >= context.deadline) {
      return status;
    }
    if (outage.GiveUp(status)) return status;
    SleepUntil(absl::Now() + backoff, context.cancellation.get());
    backoff = std::min(options_.max_backoff, backoff * 2);
  }
}

}  // namespace

RemoteSourceMetrics RemoteSourceMetrics::Register(MetricRegistry& registry,
                                                  const std::string& component) {
  const std::string prefix = absl::StrCat("reflux_", component, "_remote_");
  return {
      .targets = registry.AddCounter(prefix + "targets_total", "Targets received."),
      .bytes = registry.AddCounter(prefix + "bytes_total", "Bytes of targets received."),
      .retries = registry.AddCounter(prefix + "retries_total", "Calls repeated after a failure."),
      .images_sent = registry.AddCounter(prefix + "images_sent_total",
                                         "Images sent because the server had no such file.")};
}

std::unique_ptr<TargetSource> MakeRemoteSource(const RemoteSourceOptions& options,
                                               const RemoteSourceMetrics& metrics) {
  return std::make_unique<RemoteSource>(options, metrics);
}

}  // namespace reflux
