#include "teacher_server/switching_source.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {

void SwitchingSource::Switch(std::shared_ptr<TargetSource> source,
                             const TeacherIdentity& identity) {
  Served replaced{.source = std::move(source), .identity = identity};
  {
    MutexLock lock(mutex_);
    std::swap(served_, replaced);
  }
  // What was served before is released here, without the lock, or by the last request that holds
  // it.
}

void SwitchingSource::Refuse(const absl::Status& why) {
  Served replaced;
  {
    MutexLock lock(mutex_);
    refusal_ = why;
    std::swap(served_, replaced);
  }
}

void SwitchingSource::AwaitIdle(absl::Time deadline) {
  MutexLock lock(mutex_);
  while (under_way_ > 0 && idle_.WaitUntil(mutex_, deadline)) {
  }
}

absl::StatusOr<SwitchingSource::Served> SwitchingSource::Begin() {
  MutexLock lock(mutex_);
  if (served_.source == nullptr) return refusal_;
  ++under_way_;
  return served_;
}

void SwitchingSource::Finish() {
  MutexLock lock(mutex_);
  if (--under_way_ == 0) idle_.NotifyAll();
}

absl::Status SwitchingSource::Fetch(const FetchContext& context, const TargetRequest& request,
                                    TargetSink& sink) {
  REFLUX_RETURN_IF_ERROR(request.Validate());
  REFLUX_ASSIGN_OR_RETURN(const Served served, Begin());
  const absl::Cleanup finish = [this] { Finish(); };
  if (request.teacher == served.identity) return served.source->Fetch(context, request, sink);
  return absl::FailedPreconditionError(
      absl::StrCat("this server has another teacher than the request wants: ",
                   DescribeDifference(served.identity, request.teacher)));
}

absl::StatusOr<TeacherInfo> SwitchingSource::GetTeacherInfo(const FetchContext& context) {
  REFLUX_ASSIGN_OR_RETURN(const Served served, Begin());
  const absl::Cleanup finish = [this] { Finish(); };
  return served.source->GetTeacherInfo(context);
}

}  // namespace reflux
