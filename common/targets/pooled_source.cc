#include "common/targets/pooled_source.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status_macros.h"
#include "common/rpc/server_list.h"
#include "common/rpc/status.h"
#include "common/targets/missing_targets.h"

namespace reflux {
namespace {

// Gives on what is final; keeps what another member may still deliver.
class FirstDelivery : public TargetSink {
 public:
  FirstDelivery(const std::vector<size_t>& samples, MissingTargets& missing, TargetSink& sink,
                const FetchContext& context)
      : samples_(samples), missing_(missing), sink_(sink), context_(context) {}

  // Members are tried one after another: no two write a place at once.
  char* Place(size_t sample, size_t spec, const EncodedTarget& coming, size_t size) override {
    if (sample >= samples_.size() || !missing_.Has(samples_[sample], spec)) return nullptr;
    return sink_.Place(samples_[sample], spec, coming, size);
  }
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    if (sample >= samples_.size()) return;
    if (!target.ok() && (IsRetryable(target.status()) || TimedOut(target.status()))) {
      failure_ = target.status();
    } else if (missing_.Take(samples_[sample], spec)) {
      sink_.Deliver(samples_[sample], spec, std::move(target));
    }
  }
  // The try's own limit, not the caller's.
  bool TimedOut(const absl::Status& status) const {
    return absl::IsDeadlineExceeded(status) && context_.Check().ok();
  }
  const absl::Status& failure() const { return failure_; }

 private:
  const std::vector<size_t>& samples_;
  MissingTargets& missing_;
  TargetSink& sink_;
  const FetchContext& context_;
  absl::Status failure_;
};

class PooledSource : public TargetSource {
 public:
  PooledSource(const PooledSourceOptions& options, const PooledSourceMetrics& metrics)
      : options_(options),
        clock_(*options.clock),
        metrics_(metrics),
        members_(options.policy, options.connect) {}

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override;
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override;

 private:
  // Blocks until a member can be used; it then counts `samples` as outstanding.
  absl::StatusOr<PoolMembers::Fetch> Acquire(const FetchContext& context,
                                             const TeacherIdentity& wanted, int64_t samples);
  // One member, once. OK: go on with what is missing.
  absl::Status Try(const FetchContext& context, const TargetRequest& request, int tries,
                   std::set<std::string>& refusing, MissingTargets& missing, TargetSink& sink);
  absl::Status Settle(const PoolMembers::Fetch& fetch, const absl::Status& outcome, bool hung,
                      std::set<std::string>& refusing);
  absl::Time TryDeadline(const FetchContext& context, const PoolMembers::Fetch& fetch, int tries);
  absl::StatusOr<TeacherInfo> Ask(const FetchContext& context, PoolMember& member)
      REFLUX_REQUIRES(mutex_);
  absl::StatusOr<TeacherInfo> AskAll(const FetchContext& context) REFLUX_REQUIRES(mutex_);
  void Refresh() REFLUX_REQUIRES(mutex_);
  // Until `uptime`, a change, or the caller's deadline.
  void Wait(const FetchContext& context, absl::Duration uptime) REFLUX_REQUIRES(mutex_);
  void Show() REFLUX_REQUIRES(mutex_);
  Cancellation::Registration WakeOnCancel(const FetchContext& context);

  const PooledSourceOptions options_;
  const Clock& clock_;
  PooledSourceMetrics metrics_;
  Mutex mutex_;
  CondVar changed_;
  PoolMembers members_ REFLUX_GUARDED_BY(mutex_);
  absl::Duration refreshed_ REFLUX_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  absl::Status listed_ REFLUX_GUARDED_BY(mutex_);
  std::optional<TeacherIdentity> teacher_ REFLUX_GUARDED_BY(mutex_);
  int64_t ejections_shown_ REFLUX_GUARDED_BY(mutex_) = 0;
};

absl::Status PooledSource::Fetch(const FetchContext& context, const TargetRequest& request,
                                 TargetSink& sink) {
  REFLUX_RETURN_IF_ERROR(request.Validate());
  const Cancellation::Registration on_cancel = WakeOnCancel(context);
  MissingTargets missing(request);
  const size_t all = missing.size();
  std::set<std::string> refusing;
  absl::Status failure;
  for (int tries = 0; failure.ok() && !missing.empty(); ++tries) {
    if (tries == 1) metrics_.moved_fetches.Increment();
    failure = Try(context, request, tries, refusing, missing, sink);
  }
  if (missing.size() == all) return failure;
  missing.Fail(failure, sink);
  return absl::OkStatus();
}

absl::Status PooledSource::Try(const FetchContext& context, const TargetRequest& request, int tries,
                               std::set<std::string>& refusing, MissingTargets& missing,
                               TargetSink& sink) {
  const MissingTargets::Rest rest = missing.Of(request);
  REFLUX_ASSIGN_OR_RETURN(
      const PoolMembers::Fetch fetch,
      Acquire(context, request.teacher, static_cast<int64_t>(rest.samples.size())));
  FetchContext attempt = context;
  attempt.deadline = TryDeadline(context, fetch, tries);
  FirstDelivery deliveries(rest.samples, missing, sink, context);
  absl::Status outcome = fetch.member->source->Fetch(attempt, rest.request, deliveries);
  if (outcome.ok()) outcome = deliveries.failure();
  if (outcome.ok() && !missing.empty()) {
    outcome = absl::DataLossError("the server ended without answering everything");
  }
  return Settle(fetch, outcome, deliveries.TimedOut(outcome), refusing);
}

absl::Status PooledSource::Settle(const PoolMembers::Fetch& fetch, const absl::Status& outcome,
                                  bool hung, std::set<std::string>& refusing) {
  MutexLock lock(mutex_);
  absl::Status final_status;
  if (outcome.ok()) {
    members_.Served(fetch, clock_.Uptime());
  } else if (absl::IsResourceExhausted(outcome)) {
    members_.Busy(fetch, RetryAfter(outcome), clock_.Uptime());
  } else if (IsRetryable(outcome) || hung) {
    members_.Failed(fetch, outcome, clock_.Uptime());
  } else {
    members_.Ended(fetch);
    // A server that has another teacher now is told from one that refuses the request itself by
    // asking it who it is: it refuses twice only when it is the right one.
    if (absl::IsFailedPrecondition(outcome) && refusing.insert(fetch.member->name).second) {
      fetch.member->identity.reset();
    } else {
      final_status = outcome;
    }
  }
  Show();
  changed_.NotifyAll();
  return final_status;
}

absl::Time PooledSource::TryDeadline(const FetchContext& context, const PoolMembers::Fetch& fetch,
                                     int tries) {
  MutexLock lock(mutex_);
  const std::optional<double> expected = members_.ExpectedSeconds(fetch);
  if (!expected.has_value()) return context.deadline;
  const absl::Duration limit =
      std::max(options_.min_try_timeout, options_.policy.slow_ratio * absl::Seconds(*expected));
  return std::min(context.deadline, absl::Now() + limit * (1 << std::min(tries, 10)));
}

absl::StatusOr<PoolMembers::Fetch> PooledSource::Acquire(const FetchContext& context,
                                                         const TeacherIdentity& wanted,
                                                         int64_t samples) {
  MutexLock lock(mutex_);
  while (true) {
    Refresh();
    if (const absl::Status stop = context.Check(); !stop.ok()) {
      return absl::Status(stop.code(),
                          absl::StrCat(stop.message(), "; teachers: ", members_.Describe(wanted)));
    }
    const PoolMembers::Choice choice = members_.Choose(wanted, clock_.Uptime());
    switch (choice.kind) {
      case PoolMembers::Choice::Kind::kUse:
        return members_.Begin(choice.member, samples, clock_.Uptime());
      case PoolMembers::Choice::Kind::kAsk:
        Ask(context, *choice.member).IgnoreError();
        break;
      case PoolMembers::Choice::Kind::kWait:
        Wait(context, std::min(choice.until, clock_.Uptime() + options_.refresh));
        break;
      case PoolMembers::Choice::Kind::kRefused:
        return absl::FailedPreconditionError(
            absl::StrCat("no server has this teacher: ", members_.Describe(wanted)));
    }
  }
}

// Leaves the lock while the member answers.
absl::StatusOr<TeacherInfo> PooledSource::Ask(const FetchContext& context, PoolMember& member) {
  member.asking = true;
  const std::shared_ptr<TargetSource> source = member.source;
  mutex_.Unlock();
  absl::StatusOr<TeacherInfo> info = source->GetTeacherInfo(
      {.deadline = std::min(context.deadline, absl::Now() + options_.ask_timeout),
       .cancellation = context.cancellation});
  mutex_.Lock();
  members_.Told(member, info, clock_.Uptime());
  if (info.ok() && teacher_.has_value() && info->identity != *teacher_) {
    spdlog::warn("{} is refused: {}", member.name, DescribeDifference(info->identity, *teacher_));
  }
  Show();
  changed_.NotifyAll();
  return info;
}

absl::StatusOr<TeacherInfo> PooledSource::GetTeacherInfo(const FetchContext& context) {
  const Cancellation::Registration on_cancel = WakeOnCancel(context);
  MutexLock lock(mutex_);
  while (true) {
    Refresh();
    absl::StatusOr<TeacherInfo> info = AskAll(context);
    if (info.ok()) return info;
    REFLUX_RETURN_IF_ERROR(context.Check());
    if (clock_.Now() + options_.policy.min_ejection >= context.deadline) return info;
    Wait(context, clock_.Uptime() + options_.policy.min_ejection);
  }
}

absl::StatusOr<TeacherInfo> PooledSource::AskAll(const FetchContext& context) {
  std::optional<TeacherInfo> answer;
  absl::Status failure =
      listed_.ok() ? absl::UnavailableError("no teacher has announced itself") : listed_;
  const std::vector<std::shared_ptr<PoolMember>> members = members_.members();
  for (const std::shared_ptr<PoolMember>& member : members) {
    if (clock_.Uptime() < member->usable_at) failure = member->last_failure;
    if (clock_.Uptime() < member->usable_at || member->asking) continue;
    const absl::StatusOr<TeacherInfo> info = Ask(context, *member);
    if (!info.ok()) {
      failure = info.status();
      continue;
    }
    if (!teacher_.has_value()) teacher_ = info->identity;
    if (info->identity != *teacher_) {
      failure = absl::FailedPreconditionError(
          absl::StrCat(member->name, ": ", DescribeDifference(info->identity, *teacher_)));
    } else if (answer.has_value()) {
      answer->images_inferred += info->images_inferred;
    } else {
      answer = *info;
    }
  }
  if (answer.has_value()) return *answer;
  return failure;
}

void PooledSource::Refresh() {
  const absl::Duration now = clock_.Uptime();
  if (now < refreshed_ + options_.refresh) return;
  refreshed_ = now;
  const absl::StatusOr<std::vector<std::string>> names = options_.list();
  listed_ = names.status();
  if (names.ok()) members_.Update(*names);
  Show();
}

void PooledSource::Wait(const FetchContext& context, absl::Duration uptime) {
  const absl::Duration left = context.deadline - clock_.Now();
  clock_.WaitUntilUptime(changed_, mutex_, std::min(uptime, clock_.Uptime() + left));
}

void PooledSource::Show() {
  int usable = 0, refused = 0;
  for (const auto& member : members_.members()) {
    if (!member->identity.has_value()) continue;
    const bool other = teacher_.has_value() && *member->identity != *teacher_;
    ++(other ? refused : usable);
  }
  metrics_.members.Set(static_cast<double>(members_.members().size()));
  metrics_.usable_members.Set(usable);
  metrics_.refused_members.Set(refused);
  metrics_.ejections.Increment(static_cast<double>(members_.ejections() - ejections_shown_));
  ejections_shown_ = members_.ejections();
}

Cancellation::Registration PooledSource::WakeOnCancel(const FetchContext& context) {
  if (context.cancellation == nullptr) return nullptr;
  return context.cancellation->OnCancel([this] {
    MutexLock lock(mutex_);
    changed_.NotifyAll();
  });
}

}  // namespace

PooledSourceMetrics PooledSourceMetrics::Register(MetricRegistry& registry,
                                                  const std::string& component) {
  const std::string prefix = absl::StrCat("reflux_", component, "_pool_");
  return {.members = registry.AddGauge(prefix + "members", "Teacher servers listed."),
          .usable_members =
              registry.AddGauge(prefix + "usable_members", "Those that answer for the teacher."),
          .refused_members = registry.AddGauge(prefix + "refused_members",
                                               "Those that turned out to be another teacher."),
          .ejections = registry.AddCounter(prefix + "ejections_total",
                                           "Times a server was left out: failing or slow."),
          .moved_fetches = registry.AddCounter(prefix + "moved_fetches_total",
                                               "Fetches that needed more than one server.")};
}

std::unique_ptr<TargetSource> MakePooledSource(const PooledSourceOptions& options,
                                               const PooledSourceMetrics& metrics) {
  return std::make_unique<PooledSource>(options, metrics);
}

std::unique_ptr<TargetSource> MakePooledRemoteSource(const RemoteSourceOptions& remote,
                                                     const RemoteSourceMetrics& remote_metrics,
                                                     const PooledSourceMetrics& metrics) {
  PooledSourceOptions options;
  options.list = [endpoint = remote.endpoint] { return ListEndpoints(endpoint); };
  options.connect = [remote, remote_metrics](const std::string& name) {
    RemoteSourceOptions member = remote;
    member.endpoint = name;
    member.single_try = true;
    return MakeRemoteSource(member, remote_metrics);
  };
  return MakePooledSource(options, metrics);
}

}  // namespace reflux
