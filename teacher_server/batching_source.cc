#include "teacher_server/batching_source.h"

#include <algorithm>
#include <deque>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// One Fetch call: its answers on the way from the batching thread to the caller.
struct Call {
  struct Answer {
    size_t sample, spec;
    absl::StatusOr<EncodedTarget> target;
  };
  const FetchContext& context;
  const TargetRequest& request;
  Mutex mutex;
  CondVar changed;
  std::deque<Answer> answers REFLUX_GUARDED_BY(mutex);

  void Push(Answer answer) {
    MutexLock lock(mutex);
    answers.push_back(std::move(answer));
    changed.NotifyAll();
  }
};

struct Item {
  std::shared_ptr<Call> call;
  size_t sample;
  absl::Time queued;

  const SampleRef& ref() const { return call->request.samples[sample]; }
  void Fail(const absl::Status& status) const {
    for (size_t spec = 0; spec < call->request.specs.size(); ++spec) {
      call->Push({sample, spec, status});
    }
  }
};

bool SameBatch(const Item& a, const Item& b) {
  const View &u = a.ref().view, &v = b.ref().view;
  return u.crop_height == v.crop_height && u.crop_width == v.crop_width &&
         a.call->request.specs == b.call->request.specs &&
         a.call->request.teacher == b.call->request.teacher;
}

// Hands each delivery of a batch to the call its sample came from.
class Scatter : public TargetSink {
 public:
  explicit Scatter(const std::vector<Item>& batch) : batch_(batch) {}
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    batch_[sample].call->Push({batch_[sample].sample, spec, std::move(target)});
  }

 private:
  const std::vector<Item>& batch_;
};

class BatchingSource : public TargetSource {
 public:
  BatchingSource(TargetSource& upstream, const BatchingOptions& options,
                 const BatchingMetrics& metrics)
      : upstream_(upstream), options_(options), metrics_(metrics), thread_([this] { Loop(); }) {}

  ~BatchingSource() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.NotifyAll();
    }
    thread_.join();
    for (const Item& item : queue_) item.Fail(absl::UnavailableError("the teacher is stopping"));
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
  std::vector<Item> TakeBatch() REFLUX_REQUIRES(mutex_);
  void Run(const std::vector<Item>& batch);

  TargetSource& upstream_;
  const BatchingOptions options_;
  BatchingMetrics metrics_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ REFLUX_GUARDED_BY(mutex_) = false;
  std::list<Item> queue_ REFLUX_GUARDED_BY(mutex_);
  std::thread thread_;
};

absl::Status BatchingSource::Fetch(const FetchContext& context, const TargetRequest& request,
                                   TargetSink& sink) {
  REFLUX_RETURN_IF_ERROR(request.Validate());
  auto call = std::make_shared<Call>(context, request);
  REFLUX_RETURN_IF_ERROR(Enqueue(call));
  // The request and context stay alive until the last answer, so the items may refer to them.
  for (size_t left = request.samples.size() * request.specs.size(); left > 0; --left) {
    MutexLock lock(call->mutex);
    while (call->answers.empty()) call->changed.Wait(call->mutex);
    Call::Answer answer = std::move(call->answers.front());
    call->answers.pop_front();
    call->mutex.Unlock();
    sink.Deliver(answer.sample, answer.spec, std::move(answer.target));
    call->mutex.Lock();
  }
  return absl::OkStatus();
}

absl::Status BatchingSource::Enqueue(const std::shared_ptr<Call>& call) {
  MutexLock lock(mutex_);
  if (stopping_) return absl::UnavailableError("the teacher is stopping");
  const size_t samples = call->request.samples.size();
  if (queue_.size() + samples > static_cast<size_t>(options_.max_queue) && !queue_.empty()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the teacher's queue is full (", queue_.size(), " samples): try again later"));
  }
  const bool prefill = call->context.priority == Priority::kPrefill;
  auto place = queue_.end();
  if (!prefill) {
    place = std::find_if(queue_.begin(), queue_.end(), [](const Item& item) {
      return item.call->context.priority == Priority::kPrefill;
    });
  }
  for (size_t i = 0; i < samples; ++i) queue_.insert(place, {call, i, absl::Now()});
  metrics_.queued_samples.Set(queue_.size());
  changed_.NotifyAll();
  return absl::OkStatus();
}

void BatchingSource::Loop() {
  for (std::vector<Item> batch = NextBatch(); !batch.empty(); batch = NextBatch()) Run(batch);
}

// Waits until a batch is full or its first sample has waited long enough. Empty: stopping.
std::vector<Item> BatchingSource::NextBatch() {
  MutexLock lock(mutex_);
  while (true) {
    if (stopping_) return {};
    if (queue_.empty()) {
      changed_.Wait(mutex_);
      continue;
    }
    const Item& first = queue_.front();
    const auto fitting = std::count_if(queue_.begin(), queue_.end(),
                                       [&](const Item& item) { return SameBatch(first, item); });
    const absl::Time due = first.queued + options_.max_delay;
    if (fitting < options_.max_batch && absl::Now() < due) {
      changed_.WaitUntil(mutex_, due);
      continue;
    }
    if (std::vector<Item> batch = TakeBatch(); !batch.empty()) return batch;
  }
}

std::vector<Item> BatchingSource::TakeBatch() {
  std::vector<Item> batch;
  for (auto it = queue_.begin(); it != queue_.end();) {
    if (absl::Status stop = it->call->context.Check(); !stop.ok()) {
      metrics_.expired_samples.Increment();
      it->Fail(stop);
      it = queue_.erase(it);
    } else if (static_cast<int>(batch.size()) < options_.max_batch &&
               (batch.empty() || SameBatch(batch.front(), *it))) {
      batch.push_back(*it);
      it = queue_.erase(it);
    } else {
      ++it;
    }
  }
  metrics_.queued_samples.Set(queue_.size());
  return batch;
}

void BatchingSource::Run(const std::vector<Item>& batch) {
  TargetRequest merged{.teacher = batch.front().call->request.teacher,
                       .specs = batch.front().call->request.specs};
  FetchContext context{.deadline = absl::InfinitePast()};
  for (const Item& item : batch) {
    merged.samples.push_back(item.ref());
    context.deadline = std::max(context.deadline, item.call->context.deadline);
    metrics_.queue_seconds.Observe(absl::ToDoubleSeconds(absl::Now() - item.queued));
  }
  metrics_.batches.Increment();
  metrics_.batch_samples.Observe(batch.size());
  Scatter scatter(batch);
  const absl::Status status = upstream_.Fetch(context, merged, scatter);
  if (status.ok()) return;
  for (const Item& item : batch) item.Fail(status);
}

}  // namespace

BatchingMetrics BatchingMetrics::Register(MetricRegistry& registry) {
  return {.queued_samples =
              registry.AddGauge("reflux_teacher_queued_samples", "Samples waiting for a forward."),
          .batches = registry.AddCounter("reflux_teacher_batches_total", "Forwards started."),
          .expired_samples =
              registry.AddCounter("reflux_teacher_expired_samples_total",
                                  "Samples dropped before compute: deadline or cancellation."),
          .batch_samples = registry.AddHistogram("reflux_teacher_batch_samples",
                                                 "Samples of a forward.", {1, 2, 4, 8, 16, 32, 64}),
          .queue_seconds = registry.AddHistogram(
              "reflux_teacher_queue_seconds", "Time of a sample in the queue.", LatencyBuckets())};
}

std::unique_ptr<TargetSource> MakeBatchingSource(TargetSource& upstream,
                                                 const BatchingOptions& options,
                                                 const BatchingMetrics& metrics) {
  return std::make_unique<BatchingSource>(upstream, options, metrics);
}

}  // namespace reflux
