#include "planner/fill.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// Counts what was stored; keeps the first failure.
class CountingSink : public TargetSink {
 public:
  explicit CountingSink(const TargetRequest& request) : request_(request) {}

  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    if (target.ok()) {
      ++delivered_;
    } else if (status_.ok()) {
      status_ = absl::Status(
          target.status().code(),
          absl::StrCat("target ", request_.specs[spec].tap, " of ",
                       request_.samples[sample].locator.path, ": ", target.status().message()));
    }
  }
  int64_t delivered() const { return delivered_; }
  const absl::Status& status() const { return status_; }

 private:
  const TargetRequest& request_;
  int64_t delivered_ = 0;
  absl::Status status_;
};

// A sample and how many of its targets are there already.
struct Missing {
  SampleRef sample;
  int64_t held = 0;
};

class Filling {
 public:
  Filling(const TeacherNeeds& teacher, TargetSource& source, const FillOptions& options)
      : teacher_(teacher), source_(source), options_(options) {
    context_.cancellation = std::make_shared<Cancellation>();
    context_.priority = Priority::kPrefill;
  }

  absl::Status FindMissing(const std::vector<SampleRef>& samples, CacheInventory& inventory);
  absl::StatusOr<FillReport> Run();

 private:
  void Work();
  std::vector<Missing> NextBatch();
  void Fetch(const std::vector<Missing>& batch);

  const TeacherNeeds& teacher_;
  TargetSource& source_;
  const FillOptions& options_;
  FetchContext context_;
  std::vector<Missing> missing_;
  Mutex mutex_;
  size_t next_ REFLUX_GUARDED_BY(mutex_) = 0;
  FillReport report_ REFLUX_GUARDED_BY(mutex_);
  absl::Status status_ REFLUX_GUARDED_BY(mutex_);
};

absl::Status Filling::FindMissing(const std::vector<SampleRef>& samples,
                                  CacheInventory& inventory) {
  TargetRequest request{.teacher = teacher_.info.identity, .specs = teacher_.specs};
  const size_t specs = request.specs.size();
  MutexLock lock(mutex_);
  for (size_t first = 0; first < samples.size(); first += TargetRequest::kMaxSamples) {
    const size_t end = std::min(samples.size(), first + TargetRequest::kMaxSamples);
    request.samples.assign(samples.begin() + first, samples.begin() + end);
    REFLUX_ASSIGN_OR_RETURN(const std::vector<bool> held, inventory.Held(request));
    for (size_t i = 0; i < request.samples.size(); ++i) {
      const int64_t there =
          std::count(held.begin() + i * specs, held.begin() + (i + 1) * specs, true);
      report_.held += there;
      if (there < static_cast<int64_t>(specs)) missing_.push_back({request.samples[i], there});
    }
  }
  report_.targets = static_cast<int64_t>(samples.size() * specs);
  return absl::OkStatus();
}

std::vector<Missing> Filling::NextBatch() {
  const int64_t wanted =
      options_.batch > 0 ? options_.batch : int64_t{teacher_.info.identity.numerics.batch};
  const auto size =
      static_cast<size_t>(std::clamp<int64_t>(wanted, 1, int64_t{TargetRequest::kMaxSamples}));
  MutexLock lock(mutex_);
  if (context_.cancellation->cancelled()) return {};
  const size_t begin = next_;
  next_ = std::min(missing_.size(), next_ + size);
  return {missing_.begin() + begin, missing_.begin() + next_};
}

void Filling::Fetch(const std::vector<Missing>& batch) {
  TargetRequest request{.teacher = teacher_.info.identity, .specs = teacher_.specs};
  int64_t held = 0;
  for (const Missing& missing : batch) {
    request.samples.push_back(missing.sample);
    held += missing.held;
  }
  FetchContext context = context_;
  context.deadline = absl::Now() + options_.request_timeout;
  CountingSink sink(request);
  absl::Status status = source_.Fetch(context, request, sink);
  if (status.ok()) status = sink.status();
  MutexLock lock(mutex_);
  report_.stored += std::max<int64_t>(0, sink.delivered() - held);
  if (options_.on_progress) options_.on_progress(report_.held + report_.stored);
  if (status.ok() || context.cancellation->cancelled()) return;
  if (status_.ok()) status_ = status;
  next_ = missing_.size();  // the others end with what they have begun
}

void Filling::Work() {
  for (std::vector<Missing> batch = NextBatch(); !batch.empty(); batch = NextBatch()) Fetch(batch);
}

absl::StatusOr<FillReport> Filling::Run() {
  Cancellation::Registration on_stop;
  if (options_.stop != nullptr) {
    on_stop = options_.stop->OnCancel([this] { context_.cancellation->Cancel(); });
  }
  {
    MutexLock lock(mutex_);
    if (options_.on_progress) options_.on_progress(report_.held);
  }
  const absl::Time begin = absl::Now();
  std::vector<std::thread> threads;
  for (int i = 0; i < std::max(1, options_.requests); ++i) {
    threads.emplace_back([this] { Work(); });
  }
  for (std::thread& thread : threads) thread.join();
  MutexLock lock(mutex_);
  REFLUX_RETURN_IF_ERROR(status_);
  report_.seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  report_.stopped = report_.held + report_.stored < report_.targets;
  return report_;
}

}  // namespace

absl::StatusOr<FillReport> Fill(const TeacherNeeds& teacher, const std::vector<SampleRef>& samples,
                                CacheInventory& inventory, TargetSource& source,
                                const FillOptions& options) {
  if (teacher.specs.empty()) return FillReport{};
  Filling filling(teacher, source, options);
  REFLUX_RETURN_IF_ERROR(filling.FindMissing(samples, inventory));
  return filling.Run();
}

}  // namespace reflux
