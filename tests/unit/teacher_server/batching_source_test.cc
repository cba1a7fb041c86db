#include "teacher_server/batching_source.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "absl/time/clock.h"
#include "tests/integration/targets/fake_source.h"
#include "tests/support/fake_clock.h"

namespace reflux {
namespace {

// Keeps the sizes of the requests it gets; can hold them back until opened.
class GatedSource : public TargetSource {
 public:
  absl::Status Fetch(const FetchContext&, const TargetRequest& request, TargetSink& sink) override {
    {
      MutexLock lock(mutex_);
      sizes_.push_back(request.samples.size());
      arrived_.NotifyAll();
      while (!open_) arrived_.Wait(mutex_);
      if (!failure_.ok()) return failure_;
    }
    for (size_t i = 0; i < request.samples.size(); ++i) {
      for (size_t j = 0; j < request.specs.size(); ++j) {
        sink.Deliver(i, j, MakeTarget(request.samples[i], 4));
      }
    }
    return absl::OkStatus();
  }
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext&) override { return TeacherInfo{}; }

  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    arrived_.NotifyAll();
  }
  void FailWith(absl::Status failure) {
    MutexLock lock(mutex_);
    failure_ = std::move(failure);
  }
  void AwaitRequests(size_t count) {
    MutexLock lock(mutex_);
    while (sizes_.size() < count) arrived_.Wait(mutex_);
  }
  std::vector<size_t> sizes() {
    MutexLock lock(mutex_);
    return sizes_;
  }

 private:
  Mutex mutex_;
  CondVar arrived_;
  bool open_ REFLUX_GUARDED_BY(mutex_) = false;
  absl::Status failure_ REFLUX_GUARDED_BY(mutex_);
  std::vector<size_t> sizes_ REFLUX_GUARDED_BY(mutex_);
};

BatchingOptions Options(int max_batch) {
  return {.queue = {.max_batch = max_batch, .max_delay = absl::Milliseconds(1)}};
}

TEST(BatchingSource, SplitsALargeRequestAndDeliversEverything) {
  GatedSource upstream;
  upstream.Open();
  auto source = MakeBatchingSource(upstream, Options(4));
  const TargetRequest request = MakeRequest(10, {"logits", "aspp"});
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({}, request, sink).ok());
  EXPECT_EQ(sink.deliveries, 20);
  for (const auto& [index, target] : sink.targets) {
    EXPECT_EQ(target->bytes[0], static_cast<char>(request.samples[index.first].digest.bytes[0]));
  }
  for (size_t size : upstream.sizes()) EXPECT_LE(size, 4);
}

// Lets a test wait for the number of samples that wait.
class QueueGauge : public Gauge::Sink {
 public:
  void Set(double value) override {
    MutexLock lock(mutex_);
    value_ = value;
    changed_.NotifyAll();
  }
  void Await(double value) {
    MutexLock lock(mutex_);
    while (value_ != value) changed_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  double value_ REFLUX_GUARDED_BY(mutex_) = 0;
};

TEST(BatchingSource, CallersShareABatchWhileTheRunnerIsBusy) {
  GatedSource upstream;
  QueueGauge queued;
  auto source = MakeBatchingSource(upstream, Options(4), {.queued_samples = Gauge(&queued)});
  CollectingSink first_sink, second_sink, third_sink;
  std::thread first(
      [&] { EXPECT_TRUE(source->Fetch({}, MakeRequest(1, {"a"}), first_sink).ok()); });
  upstream.AwaitRequests(1);
  std::thread second(
      [&] { EXPECT_TRUE(source->Fetch({}, MakeRequest(2, {"a"}), second_sink).ok()); });
  std::thread third(
      [&] { EXPECT_TRUE(source->Fetch({}, MakeRequest(2, {"a"}), third_sink).ok()); });
  queued.Await(4);
  upstream.Open();
  first.join();
  second.join();
  third.join();
  EXPECT_EQ(second_sink.deliveries, 2);
  EXPECT_EQ(third_sink.deliveries, 2);
  EXPECT_EQ(upstream.sizes(), std::vector<size_t>({1, 4}));
}

// Holds its caller's thread in the first delivery until it is let go.
class BlockedSink : public CollectingSink {
 public:
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    gone_.wait();
    CollectingSink::Deliver(sample, spec, std::move(target));
  }
  void LetGo() { let_go_.set_value(); }

 private:
  std::promise<void> let_go_;
  const std::shared_future<void> gone_ = let_go_.get_future().share();
};

TEST(BatchingSource, ComputesNothingMoreForACallerThatDoesNotTakeIt) {
  GatedSource upstream;
  upstream.Open();
  BatchingOptions options = Options(1);
  options.max_held_bytes = 0;
  auto source = MakeBatchingSource(upstream, options);
  BlockedSink slow_sink;
  std::thread slow([&] { EXPECT_TRUE(source->Fetch({}, MakeRequest(8, {"a"}), slow_sink).ok()); });
  upstream.AwaitRequests(2);  // one in the sink's hands, one before it
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({}, MakeRequest(3, {"a"}), sink).ok());
  EXPECT_EQ(sink.deliveries, 3) << "another caller is not held up";
  EXPECT_EQ(upstream.sizes().size(), 5u) << "six of the slow caller's were passed over";
  slow_sink.LetGo();
  slow.join();
  EXPECT_EQ(slow_sink.deliveries, 8);
}

TEST(BatchingSource, RefusesWhatExceedsTheQueue) {
  GatedSource upstream;
  BatchingOptions options = Options(1);
  options.queue.max_queue = 2;
  auto source = MakeBatchingSource(upstream, options);
  CollectingSink running_sink, waiting_sink, refused_sink;
  std::thread running(
      [&] { EXPECT_TRUE(source->Fetch({}, MakeRequest(2, {"a"}), running_sink).ok()); });
  upstream.AwaitRequests(1);  // one sample runs, one waits
  EXPECT_TRUE(absl::IsResourceExhausted(source->Fetch({}, MakeRequest(2, {"a"}), refused_sink)));
  EXPECT_EQ(refused_sink.deliveries, 0);
  upstream.Open();
  running.join();
}

TEST(BatchingSource, AnExpiredCallerIsAnsweredWithoutCompute) {
  GatedSource upstream;
  upstream.Open();
  auto source = MakeBatchingSource(upstream, Options(4));
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({.deadline = absl::InfinitePast()}, MakeRequest(1, {"a"}), sink).ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(sink.targets.at({0, 0}).status()));
  EXPECT_TRUE(upstream.sizes().empty());
}

TEST(BatchingSource, ARefusedBatchFailsItsSamplesOnly) {
  GatedSource upstream;
  upstream.Open();
  upstream.FailWith(absl::FailedPreconditionError("another teacher"));
  auto source = MakeBatchingSource(upstream, Options(4));
  CollectingSink sink;
  ASSERT_TRUE(source->Fetch({}, MakeRequest(2, {"a"}), sink).ok());
  EXPECT_EQ(sink.deliveries, 2);
  EXPECT_TRUE(absl::IsFailedPrecondition(sink.targets.at({1, 0}).status()));
}

TEST(BatchingSource, ACallerWhoCancelsInTheQueueIsAnsweredWithoutCompute) {
  GatedSource upstream;
  auto source = MakeBatchingSource(upstream, Options(1));
  CollectingSink running_sink, cancelled_sink;
  std::thread running(
      [&] { EXPECT_TRUE(source->Fetch({}, MakeRequest(1, {"a"}), running_sink).ok()); });
  upstream.AwaitRequests(1);
  const FetchContext context{.cancellation = std::make_shared<Cancellation>()};
  std::thread waiting(
      [&] { EXPECT_TRUE(source->Fetch(context, MakeRequest(2, {"a"}), cancelled_sink).ok()); });
  context.cancellation->Cancel();
  upstream.Open();
  running.join();
  waiting.join();
  EXPECT_EQ(cancelled_sink.deliveries, 2);
  EXPECT_TRUE(absl::IsCancelled(cancelled_sink.targets.at({0, 0}).status()));
  EXPECT_EQ(upstream.sizes().size(), 1u) << "nothing was computed for it";
}

// What waits for company when somebody sets the machine's clock: the third of three samples.
class BatchingSourceClock : public testing::TestWithParam<absl::Duration> {};

TEST_P(BatchingSourceClock, ThatIsSetNeitherDelaysABatchNorStartsItEarly) {
  FakeClock clock;
  GatedSource upstream;
  upstream.Open();
  BatchingOptions options = Options(2);
  options.clock = &clock;
  auto source = MakeBatchingSource(upstream, options);
  CollectingSink sink;
  std::thread fetch([&] { EXPECT_TRUE(source->Fetch({}, MakeRequest(3, {"a"}), sink).ok()); });
  upstream.AwaitRequests(1);
  clock.Jump(GetParam());
  clock.AwaitWaiter();
  EXPECT_EQ(upstream.sizes(), std::vector<size_t>({2})) << "its time has not come";
  clock.Advance(options.queue.max_delay);
  fetch.join();
  EXPECT_EQ(upstream.sizes(), std::vector<size_t>({2, 1}));
}

INSTANTIATE_TEST_SUITE_P(BackAndForward, BatchingSourceClock,
                         testing::Values(-absl::Hours(10), absl::Hours(10)));

TEST(BatchingSource, AsManyBatchesRunAtOnceAsThereAreRunners) {
  GatedSource upstream;
  BatchingOptions options = Options(1);
  options.queue.runners = 3;
  std::atomic<int> begun{0};
  options.begin_runner = [&] { ++begun; };
  auto source = MakeBatchingSource(upstream, options);
  CollectingSink sink;
  std::thread fetch([&] { EXPECT_TRUE(source->Fetch({}, MakeRequest(5, {"a"}), sink).ok()); });
  upstream.AwaitRequests(3);
  EXPECT_EQ(upstream.sizes().size(), 3u);
  EXPECT_EQ(begun, 3);
  upstream.Open();
  fetch.join();
  EXPECT_EQ(sink.deliveries, 5);
}

TEST(BatchingSource, ItsEndAnswersWhatWaits) {
  GatedSource upstream;
  auto source = MakeBatchingSource(upstream, Options(1));
  CollectingSink sink;
  std::thread fetch([&] { EXPECT_TRUE(source->Fetch({}, MakeRequest(2, {"a"}), sink).ok()); });
  upstream.AwaitRequests(1);
  std::thread end([&] { source.reset(); });
  upstream.Open();
  end.join();
  fetch.join();
  EXPECT_EQ(sink.deliveries, 2);
}

}  // namespace
}  // namespace reflux
