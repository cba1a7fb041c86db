// Which servers of a pool answer for a teacher, how busy each is, and which is left out for a time:
// the rules of PooledSource, without threads or waiting. Not thread-safe; the time is passed in, by
// Clock::Uptime: a clock that is set leaves nobody out, and makes nobody slow.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/targets/target.h"

namespace reflux {

struct PoolPolicy {
  // How long a member is left out after a failure: doubled with each further one in a row.
  absl::Duration min_ejection = absl::Milliseconds(100), max_ejection = absl::Seconds(2);
  // The longest that a busy member's own wish to be left alone is obeyed.
  absl::Duration max_busy = absl::Minutes(1);
  // A member whose seconds a sample are this many times those of the fastest is left out for
  // `slow_ejection`, once both have served `min_fetches`.
  double slow_ratio = 5;
  int min_fetches = 4;
  absl::Duration slow_ejection = absl::Seconds(30);
};

struct PoolMember {
  std::string name;  // endpoint
  std::shared_ptr<TargetSource> source;
  // As it last said. Empty: it has joined, or failed, and is asked before it is used.
  std::optional<TeacherIdentity> identity;
  bool asking = false;      // somebody asks for its identity now
  int64_t outstanding = 0;  // samples asked of it and not yet answered
  absl::Duration usable_at = -absl::InfiniteDuration();
  absl::Duration ejected_at = -absl::InfiniteDuration();
  int failures_in_a_row = 0;
  absl::Status last_failure;
  double seconds_per_sample = 0;  // smoothed, of service: waiting behind one's own others left out
  int observed = 0;               // fetches in it
  int64_t last_chosen = 0;
};

class PoolMembers {
 public:
  using Connect = std::function<std::unique_ptr<TargetSource>(const std::string& name)>;
  PoolMembers(const PoolPolicy& policy, Connect connect)
      : policy_(policy), connect_(std::move(connect)) {}

  // Makes these the members: new ones join, those not named leave (their fetches go on).
  void Update(const std::vector<std::string>& names);

  struct Choice {
    // kUse, kAsk: `member`. kWait: nobody can be used before `until`, or before somebody who is
    // asked has answered. kRefused: every member is another teacher.
    enum class Kind { kUse, kAsk, kWait, kRefused } kind;
    std::shared_ptr<PoolMember> member;
    absl::Duration until = absl::InfiniteDuration();
  };
  // Who should serve a request for `wanted`: of those who can, the one with the least outstanding
  // work, the one used longest ago among equals.
  Choice Choose(const TeacherIdentity& wanted, absl::Duration now);

  // A fetch: Begin, later one of the others.
  struct Fetch {
    std::shared_ptr<PoolMember> member;
    int64_t samples = 0;
    int64_t queued = 0;  // samples outstanding at its beginning, its own included
    absl::Duration begun;
  };
  Fetch Begin(const std::shared_ptr<PoolMember>& member, int64_t samples, absl::Duration now);
  void Served(const Fetch& fetch, absl::Duration now);
  void Busy(const Fetch& fetch, absl::Duration retry_after, absl::Duration now);
  void Failed(const Fetch& fetch, const absl::Status& why, absl::Duration now);
  // Says nothing about the member: the caller gave up, or its request was at fault.
  void Ended(const Fetch& fetch) { fetch.member->outstanding -= fetch.samples; }

  // What a member that was asked has answered.
  void Told(PoolMember& member, const absl::StatusOr<TeacherInfo>& info, absl::Duration now);

  // Seconds that a fetch of the member should take with what is outstanding there; nothing when no
  // member has been observed.
  std::optional<double> ExpectedSeconds(const Fetch& fetch) const;

  const std::vector<std::shared_ptr<PoolMember>>& members() const { return members_; }
  // "A (teacher 9f3c01ab instead of 12ab34cd); B: no answer: ...", for people.
  std::string Describe(const TeacherIdentity& wanted) const;
  int64_t ejections() const { return ejections_; }

 private:
  void Eject(PoolMember& member, absl::Duration duration, const absl::Status& why,
             absl::Duration now);
  bool IsSlow(const PoolMember& member, absl::Duration now) const;

  const PoolPolicy policy_;
  const Connect connect_;
  std::vector<std::shared_ptr<PoolMember>> members_;  // in the order they are listed
  int64_t choices_ = 0, ejections_ = 0;
};

}  // namespace reflux
