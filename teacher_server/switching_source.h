// The teacher that a server serves now; another can take its place while requests run.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/targets/target.h"

namespace reflux {

// Thread-safe. Until the first Switch everything is UNAVAILABLE. A request for another teacher than
// the one served is FAILED_PRECONDITION and says what differs, before anything is computed.
class SwitchingSource : public TargetSource {
 public:
  // Requests that begin from here on go to `source`, which is `identity`; those under way end where
  // they began, and the source before is released after the last of them.
  void Switch(std::shared_ptr<TargetSource> source, const TeacherIdentity& identity);

  // Requests that begin from here on are refused with `why`, until the next Switch.
  void Refuse(const absl::Status& why);

  // Returns when no call is under way, or at `deadline`.
  void AwaitIdle(absl::Time deadline);

  absl::Status Fetch(const FetchContext& context, const TargetRequest& request,
                     TargetSink& sink) override;
  absl::StatusOr<TeacherInfo> GetTeacherInfo(const FetchContext& context) override;

 private:
  struct Served {
    std::shared_ptr<TargetSource> source;
    TeacherIdentity identity;
  };
  // What is served now, to a call that is under way until its Finish().
  absl::StatusOr<Served> Begin();
  void Finish();

  Mutex mutex_;
  CondVar idle_;
  int under_way_ REFLUX_GUARDED_BY(mutex_) = 0;
  absl::Status refusal_ REFLUX_GUARDED_BY(mutex_) =
      absl::UnavailableError("the teacher is not loaded yet");
  Served served_ REFLUX_GUARDED_BY(mutex_);
};

}  // namespace reflux
