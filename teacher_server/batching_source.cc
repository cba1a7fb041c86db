#include "teacher_server/batching_source.h"

#include <algorithm>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using Item = BatchQueue::Item;

// One Fetch call: its answers on the way from a runner to the caller.
struct Call : BatchQueue::Caller {
  Call(const FetchContext& context, const TargetRequest& request, int64_t max_held_bytes)
      : Caller{context, request}, max_held_bytes(max_held_bytes) {}
  struct Answer {
    size_t sample, spec;
    absl::StatusOr<EncodedTarget> target;
  };
  const int64_t max_held_bytes;
  Mutex mutex;
  CondVar changed;
  std::deque<Answer> answers REFLUX_GUARDED_BY(mutex);
  int64_t held_bytes REFLUX_GUARDED_BY(mutex) = 0;  // of the answers

  static int64_t BytesOf(const Answer& answer) {
    return answer.target.ok() ? static_cast<int64_t>(answer.target->bytes.size()) : 0;
  }
  void Push(Answer answer) {
    MutexLock lock(mutex);
    held_bytes += BytesOf(answer);
    stalled = held_bytes > max_held_bytes;
    answers.push_back(std::move(answer));
    changed.NotifyAll();
  }
  // `resumed`: with this answer gone, more may be computed again.
  Answer Pop(bool& resumed) {
    MutexLock lock(mutex);
    while (answers.empty()) changed.Wait(mutex);
    Answer answer = std::move(answers.front());
    answers.pop_front();
    held_bytes -= BytesOf(answer);
    resumed = held_bytes <= max_held_bytes && stalled.exchange(false);
    return answer;
  }
};

Call& CallOf(const Item& item) { return static_cast<Call&>(*item.caller); }

void Fail(const Item& item, const absl::Status& status) {
  // Counted before: after the last answer the caller takes its request away.
  const size_t specs = item.caller->request.specs.size();
  for (size_t spec = 0; spec < specs; ++spec) {
    CallOf(item).Push({item.sample, spec, status});
  }
}

// Hands each delivery of a batch to the call its sample came from.
class Scatter : public TargetSink {
 public:
  explicit Scatter(const std::vector<Item>& batch) : batch_(batch) {}
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    CallOf(batch_[sample]).Push({batch_[sample].sample, spec, std::move(target)});
  }

 private:
  const std::vector<Item>& batch_;
};

class BatchingSource : public TargetSource {
 public:
  BatchingSource(TargetSource& upstream, const BatchingOptions& options,
                 const BatchingMetrics& metrics)
      : upstream_(upstream),
        options_(options),
        clock_(*options.clock),
        metrics_(metrics),
        queue_(options.queue) {
    for (int i = 0; i < options.queue.runners; ++i) threads_.emplace_back([this] { Loop(); });
  }

  ~BatchingSource() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    for (std::thread& thread : threads_) thread.join();
    for (const Item& item : queue_.TakeAll()) {
      Fail(item, absl::UnavailableError("the teacher is stopping"));
    }
  }

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override;
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override {
    return upstream_.GetTeacherInfo(context);
  }

 private:
  absl::Status Enqueue(const std::shared_ptr<Call>& call);
  void Loop();
  std::vector<Item> NextBatch() REFLUX_EXCLUDES(mutex_);
  void Run(const std::vector<Item>& batch);

  TargetSource& upstream_;
  const BatchingOptions options_;
  const Clock& clock_;
  BatchingMetrics metrics_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ REFLUX_GUARDED_BY(mutex_) = false;
  BatchQueue queue_ REFLUX_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

absl::Status BatchingSource::Fetch(const FetchContext& context, const TargetRequest& request,
                                   TargetSink& sink) {
  REFLUX_RETURN_IF_ERROR(request.Validate());
  const auto call = std::make_shared<Call>(context, request, options_.max_held_bytes);
  REFLUX_RETURN_IF_ERROR(Enqueue(call));
  // The request and context stay alive until the last answer, so the items may refer to them.
  for (size_t left = request.samples.size() * request.specs.size(); left > 0; --left) {
    bool resumed = false;
    Call::Answer answer = call->Pop(resumed);
    if (resumed) {
      MutexLock lock(mutex_);
      changed_.NotifyAll();
    }
    sink.Deliver(answer.sample, answer.spec, std::move(answer.target));
  }
  return absl::OkStatus();
}

absl::Status BatchingSource::Enqueue(const std::shared_ptr<Call>& call) {
  MutexLock lock(mutex_);
  if (stopping_) return absl::UnavailableError("the teacher is stopping");
  const absl::Status admitted =
      queue_.Admit(call, clock_.Uptime(), call->context.deadline - clock_.Now());
  if (!admitted.ok())
    (queue_.refused_late() ? metrics_.refused_late : metrics_.refused_full).Increment();
  metrics_.queued_samples.Set(static_cast<double>(queue_.size()));
  changed_.NotifyAll();
  return admitted;
}

void BatchingSource::Loop() {
  if (options_.begin_runner) options_.begin_runner();
  for (std::vector<Item> batch = NextBatch(); !batch.empty(); batch = NextBatch()) Run(batch);
}

// Blocks until a batch should start. Empty: stopping.
std::vector<Item> BatchingSource::NextBatch() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    BatchQueue::Next next = queue_.Take(clock_.Uptime());
    for (const Item& item : next.expired) {
      metrics_.expired_samples.Increment();
      Fail(item, item.caller->context.Check());
    }
    metrics_.queued_samples.Set(static_cast<double>(queue_.size()));
    if (!next.batch.empty()) return std::move(next.batch);
    if (next.expired.empty()) clock_.WaitUntilUptime(changed_, mutex_, next.due);
  }
  return {};
}

void BatchingSource::Run(const std::vector<Item>& batch) {
  const TargetRequest& first = batch.front().caller->request;
  TargetRequest merged{.teacher = first.teacher, .samples = {}, .specs = first.specs};
  FetchContext context{.deadline = absl::InfinitePast()};
  const absl::Duration start = clock_.Uptime();
  for (const Item& item : batch) {
    merged.samples.push_back(item.ref());
    context.deadline = std::max(context.deadline, item.caller->context.deadline);
    metrics_.queue_seconds.Observe(absl::ToDoubleSeconds(start - item.queued));
  }
  metrics_.batches.Increment();
  metrics_.batch_samples.Observe(static_cast<double>(batch.size()));
  Scatter scatter(batch);
  const absl::Status status = upstream_.Fetch(context, merged, scatter);
  const absl::Duration took = clock_.Uptime() - start;
  metrics_.batch_seconds.Observe(absl::ToDoubleSeconds(took));
  if (!status.ok()) {
    for (const Item& item : batch) Fail(item, status);
    return;
  }
  MutexLock lock(mutex_);
  queue_.Measured(took);
}

}  // namespace

BatchingMetrics BatchingMetrics::Register(MetricRegistry& registry) {
  return {.queued_samples =
              registry.AddGauge("reflux_teacher_queued_samples", "Samples waiting for a forward."),
          .batches = registry.AddCounter("reflux_teacher_batches_total", "Forwards started."),
          .expired_samples =
              registry.AddCounter("reflux_teacher_expired_samples_total",
                                  "Samples dropped before compute: deadline or cancellation."),
          .refused_full = registry.AddCounter("reflux_teacher_refused_full_total",
                                              "Fetches refused because the queue was full."),
          .refused_late =
              registry.AddCounter("reflux_teacher_refused_late_total",
                                  "Fetches refused because their deadline could not be met."),
          .batch_samples = registry.AddHistogram("reflux_teacher_batch_samples",
                                                 "Samples of a forward.", {1, 2, 4, 8, 16, 32, 64}),
          .queue_seconds = registry.AddHistogram(
              "reflux_teacher_queue_seconds", "Time of a sample in the queue.", LatencyBuckets()),
          .batch_seconds = registry.AddHistogram("reflux_teacher_batch_seconds",
                                                 "A batch from its images to its encoded targets.",
                                                 LatencyBuckets())};
}

std::unique_ptr<TargetSource> MakeBatchingSource(TargetSource& upstream,
                                                 const BatchingOptions& options,
                                                 const BatchingMetrics& metrics) {
  return std::make_unique<BatchingSource>(upstream, options, metrics);
}

}  // namespace reflux
