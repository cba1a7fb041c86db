#include "cache/lease_renewer.h"

#include <utility>

#include "absl/time/clock.h"

namespace reflux {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(30);

struct NullSink : TargetSink {
  void Deliver(size_t, size_t, absl::StatusOr<EncodedTarget>) override {}
};

}  // namespace

LeaseRenewer::LeaseRenewer(TargetSource& server, absl::Duration every)
    : server_(server), every_(every), thread_([this] { Loop(); }) {}

LeaseRenewer::~LeaseRenewer() {
  stop_->Cancel();
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void LeaseRenewer::Used(const TargetRequest& request, size_t sample) {
  MutexLock lock(mutex_);
  for (const TargetSpec& spec : request.specs) {
    TargetRequest& used = used_[spec];
    used.teacher = request.teacher;
    used.samples = {request.samples[sample]};
    used.specs = {spec};
  }
}

void LeaseRenewer::Loop() {
  absl::Time next = absl::Now() + every_;
  while (true) {
    std::map<TargetSpec, TargetRequest> used;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && absl::Now() < next) changed_.WaitUntil(mutex_, next);
      if (stopping_) return;
      used.swap(used_);
    }
    next = absl::Now() + every_;
    for (const auto& [spec, request] : used) {
      FetchContext context;
      context.deadline = absl::Now() + kTimeout;
      context.cancellation = stop_;
      NullSink sink;
      // A server that is away has nothing to lease.
      server_.Fetch(context, request, sink).IgnoreError();
    }
  }
}

}  // namespace reflux
