#include "common/targets/remote_source.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/block_pool.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/status.h"
#include "common/targets/missing_targets.h"
#include "common/targets/remote_try.h"
#include "common/targets/target_assembler.h"
#include "common/targets/wire.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

// Of the blocks that hold targets for callers who offer no place.
constexpr size_t kIdleBlockBytes = size_t{64} << 20;

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

using TargetReader = grpc::ClientReader<grpc::ByteBuffer>;

// As the generated stub does it, except that messages come as they are on the wire: PartReader
// takes them apart without a copy.
std::unique_ptr<TargetReader> BeginFetch(grpc::Channel& channel, grpc::ClientContext& call,
                                         const v1::FetchRequest& request) {
  constexpr char kName[] = "/reflux.v1.TargetService/Fetch";
  const grpc::internal::RpcMethod method(kName, grpc::internal::RpcMethod::SERVER_STREAMING);
  return std::unique_ptr<TargetReader>(
      grpc::internal::ClientReaderFactory<grpc::ByteBuffer>::Create(&channel, method, &call,
                                                                    request));
}

class RemoteSource : public TargetSource {
 public:
  RemoteSource(const RemoteSourceOptions& options, const RemoteSourceMetrics& metrics)
      : options_(options), metrics_(metrics) {}

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override;
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override;

 private:
  struct Server {
    std::shared_ptr<grpc::Channel> channel;
    std::shared_ptr<v1::TargetService::Stub> stub;  // over the channel
  };
  struct Attempt {
    absl::Status status;        // of the call
    absl::Status last_failure;  // of a retryable target
    bool supplied_images = false;
    bool files_failed = false;
  };

  absl::StatusOr<Server> Connect();
  // `by_files`: where the server names files, they are read.
  Attempt TryOnce(const FetchContext& context, bool by_files, TargetRequest& request,
                  MissingTargets& missing, TargetSink& sink);
  bool MayReadFiles();
  void PauseReadingFiles();
  absl::Status ReadAll(TargetReader& reader, RemoteTry& brought);
  absl::Time TryDeadline(const FetchContext& context) const {
    return std::min(context.deadline, absl::Now() + options_.try_timeout);
  }

  const RemoteSourceOptions options_;
  RemoteSourceMetrics metrics_;
  Mutex mutex_;
  std::string connected_to_ REFLUX_GUARDED_BY(mutex_);
  Server server_ REFLUX_GUARDED_BY(mutex_);
  absl::Time files_again_ REFLUX_GUARDED_BY(mutex_) = absl::InfinitePast();
  BlockPool blocks_{kIdleBlockBytes};
};

// A new channel whenever the endpoint's address changed: a restarted server may have another port.
absl::StatusOr<RemoteSource::Server> RemoteSource::Connect() {
  absl::StatusOr<std::string> address = ResolveEndpoint(options_.endpoint);
  if (!address.ok()) {
    if (absl::IsInvalidArgument(address.status())) return address.status();
    return absl::UnavailableError(
        absl::StrCat("target server not announced yet: ", address.status().message()));
  }
  MutexLock lock(mutex_);
  if (server_.channel == nullptr || connected_to_ != *address) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(4 << 20);
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    server_.channel =
        grpc::CreateCustomChannel(*address, grpc::InsecureChannelCredentials(), arguments);
    server_.stub = v1::TargetService::NewStub(server_.channel);
    connected_to_ = *address;
  }
  return server_;
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
  bool by_files = MayReadFiles();
  while (!missing.empty()) {
    if (absl::Status stop = context.Check(); !stop.ok()) {
      failure = failure.ok()
                    ? stop
                    : absl::Status(stop.code(),
                                   absl::StrCat(stop.message(), "; last try: ", failure.message()));
      break;
    }
    const size_t before = missing.size();
    const Attempt attempt = TryOnce(context, by_files, request, missing, sink);
    if (missing.empty()) return absl::OkStatus();
    failure = attempt.status.ok() ? attempt.last_failure : attempt.status;
    by_files = by_files && !attempt.files_failed;
    // Ask at once, with the images, or for the bytes of targets.
    if (failure.ok() && (attempt.supplied_images || attempt.files_failed)) continue;
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

bool RemoteSource::MayReadFiles() {
  MutexLock lock(mutex_);
  return options_.reads_files && absl::Now() >= files_again_;
}

void RemoteSource::PauseReadingFiles() {
  MutexLock lock(mutex_);
  files_again_ = absl::Now() + options_.files_again_after;
}

RemoteSource::Attempt RemoteSource::TryOnce(const FetchContext& context, bool by_files,
                                            TargetRequest& request, MissingTargets& missing,
                                            TargetSink& sink) {
  const absl::StatusOr<Server> server = Connect();
  if (!server.ok()) return {.status = server.status()};
  const MissingTargets::Rest rest = missing.Of(request);
  grpc::ClientContext call;
  call.set_deadline(absl::ToChronoTime(TryDeadline(context)));
  Cancellation::Registration on_cancel;
  if (context.cancellation != nullptr) {
    on_cancel = context.cancellation->OnCancel([&call] { call.TryCancel(); });
  }
  v1::FetchRequest message = ToProto(rest.request, context.priority);
  message.set_discard(options_.discard);
  if (by_files) message.set_host(options_.host);
  const auto reader = BeginFetch(*server->channel, call, message);
  RemoteTry brought(options_, metrics_, blocks_, rest.samples, request, missing, sink);
  absl::Status status = ReadAll(*reader, brought);
  if (!status.ok()) call.TryCancel();
  const absl::Status finished = AsSeen(reader->Finish(), context);
  status.Update(finished);
  if (brought.files_unreadable()) PauseReadingFiles();
  return {status, brought.last_failure(), brought.supplied_images(), brought.files_failed()};
}

absl::Status RemoteSource::ReadAll(TargetReader& reader, RemoteTry& brought) {
  TargetAssembler assembler(brought, blocks_, options_.discard);
  grpc::ByteBuffer message;
  while (reader.Read(&message)) REFLUX_RETURN_IF_ERROR(assembler.Add(message));
  return absl::OkStatus();
}

absl::StatusOr<TeacherInfo> RemoteSource::GetTeacherInfo(const FetchContext& context) {
  absl::Duration backoff = options_.min_backoff;
  Outage outage(options_.give_up_after);
  while (true) {
    REFLUX_RETURN_IF_ERROR(context.Check());
    absl::Status status;
    const absl::StatusOr<Server> server = Connect();
    if (server.ok()) {
      grpc::ClientContext call;
      call.set_deadline(absl::ToChronoTime(TryDeadline(context)));
      v1::TeacherInfo answer;
      status = AsSeen(server->stub->GetTeacherInfo(&call, {}, &answer), context);
      if (status.ok()) return FromProto(answer);
    } else {
      status = server.status();
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

void RemoteSourceMetrics::AddFileReads(MetricRegistry& registry, const std::string& component) {
  const std::string prefix = absl::StrCat("reflux_", component, "_remote_");
  file_reads = registry.AddCounter(prefix + "file_reads_total",
                                   "Targets read from files that the server named.");
  file_errors =
      registry.AddCounter(prefix + "file_errors_total", "Targets that could not be read there.");
}

std::unique_ptr<TargetSource> MakeRemoteSource(const RemoteSourceOptions& options,
                                               const RemoteSourceMetrics& metrics) {
  return std::make_unique<RemoteSource>(options, metrics);
}

}  // namespace reflux
