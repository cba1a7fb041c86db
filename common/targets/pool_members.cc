#include "common/targets/pool_members.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace reflux {
namespace {

constexpr double kSmoothing = 0.2;  // weight of the newest fetch

}  // namespace

void PoolMembers::Update(const std::vector<std::string>& names) {
  std::vector<std::shared_ptr<PoolMember>> members;
  for (const std::string& name : names) {
    const auto has_name = [&](const auto& member) { return member->name == name; };
    if (std::any_of(members.begin(), members.end(), has_name)) continue;
    const auto known = std::find_if(members_.begin(), members_.end(), has_name);
    if (known != members_.end()) {
      members.push_back(*known);
      continue;
    }
    auto joined = std::make_shared<PoolMember>();
    joined->name = name;
    joined->source = connect_(name);
    members.push_back(std::move(joined));
  }
  members_ = std::move(members);
}

PoolMembers::Choice PoolMembers::Choose(const TeacherIdentity& wanted, absl::Duration now) {
  Choice choice{.kind = Choice::Kind::kRefused};
  if (members_.empty()) choice.kind = Choice::Kind::kWait;
  std::shared_ptr<PoolMember> best;
  for (const auto& member : members_) {
    if (now < member->usable_at || member->asking) {
      choice.kind = Choice::Kind::kWait;
      if (!member->asking) choice.until = std::min(choice.until, member->usable_at);
    } else if (!member->identity.has_value()) {
      return {.kind = Choice::Kind::kAsk, .member = member};
    } else if (*member->identity == wanted) {
      const auto rank = [](const PoolMember& m) { return std::pair(m.outstanding, m.last_chosen); };
      if (best == nullptr || rank(*member) < rank(*best)) best = member;
    }
  }
  if (best != nullptr) return {.kind = Choice::Kind::kUse, .member = std::move(best)};
  return choice;
}

PoolMembers::Fetch PoolMembers::Begin(const std::shared_ptr<PoolMember>& member, int64_t samples,
                                      absl::Duration now) {
  member->outstanding += samples;
  member->last_chosen = ++choices_;
  return {.member = member, .samples = samples, .queued = member->outstanding, .begun = now};
}

void PoolMembers::Served(const Fetch& fetch, absl::Duration now) {
  Ended(fetch);
  PoolMember& member = *fetch.member;
  if (fetch.begun < member.ejected_at) return;  // it was left out meanwhile
  member.failures_in_a_row = 0;
  const double seconds = absl::ToDoubleSeconds(now - fetch.begun) /
                         static_cast<double>(std::max<int64_t>(1, fetch.queued));
  member.seconds_per_sample =
      member.observed == 0 ? seconds : std::lerp(member.seconds_per_sample, seconds, kSmoothing);
  ++member.observed;
  if (!IsSlow(member, now)) return;
  Eject(member, policy_.slow_ejection,
        absl::UnavailableError(absl::StrCat("slow: ", member.seconds_per_sample, " s a sample")),
        now);
}

void PoolMembers::Busy(const Fetch& fetch, absl::Duration retry_after, absl::Duration now) {
  Ended(fetch);
  PoolMember& member = *fetch.member;
  member.usable_at = std::max(
      member.usable_at, now + std::clamp(retry_after, policy_.min_ejection, policy_.max_busy));
}

void PoolMembers::Failed(const Fetch& fetch, const absl::Status& why, absl::Duration now) {
  Ended(fetch);
  // Fetches that were under way when it failed fail with it: that is one failure.
  if (fetch.begun < fetch.member->ejected_at) return;
  Eject(*fetch.member, absl::ZeroDuration(), why, now);
}

void PoolMembers::Told(PoolMember& member, const absl::StatusOr<TeacherInfo>& info,
                       absl::Duration now) {
  member.asking = false;
  if (info.ok()) {
    member.identity = info->identity;
  } else {
    Eject(member, absl::ZeroDuration(), info.status(), now);
  }
}

void PoolMembers::Eject(PoolMember& member, absl::Duration duration, const absl::Status& why,
                        absl::Duration now) {
  const int doublings = std::min(member.failures_in_a_row++, 20);
  duration = std::max(duration,
                      std::min(policy_.max_ejection, policy_.min_ejection * std::exp2(doublings)));
  // Once for each outage, not for each try.
  if (doublings == 0) {
    spdlog::warn("{} is left out for a time: {}", member.name, std::string(why.message()));
    ++ejections_;
  }
  member.ejected_at = now;
  member.usable_at = now + duration;
  member.last_failure = why;
  member.identity.reset();  // it may come back as another
  member.observed = 0;
}

// Only while another one serves.
bool PoolMembers::IsSlow(const PoolMember& member, absl::Duration now) const {
  if (member.observed < policy_.min_fetches) return false;
  return std::any_of(members_.begin(), members_.end(), [&](const auto& other) {
    return other.get() != &member && now >= other->usable_at &&
           other->identity == member.identity && other->observed >= policy_.min_fetches &&
           member.seconds_per_sample > policy_.slow_ratio * other->seconds_per_sample;
  });
}

std::optional<double> PoolMembers::ExpectedSeconds(const Fetch& fetch) const {
  std::optional<double> slowest;
  for (const auto& member : members_) {
    if (member->observed > 0) {
      slowest = std::max(slowest.value_or(0), member->seconds_per_sample);
    }
  }
  if (slowest.has_value()) *slowest *= static_cast<double>(fetch.queued);
  return slowest;
}

std::string PoolMembers::Describe(const TeacherIdentity& wanted) const {
  if (members_.empty()) return "nobody has announced itself";
  return absl::StrJoin(members_, "; ", [&](std::string* out, const auto& member) {
    if (member->identity.has_value()) {
      absl::StrAppend(out, member->name,
                      " is refused: ", DescribeDifference(*member->identity, wanted));
    } else {
      absl::StrAppend(out, member->name, ": ", member->last_failure.message());
    }
  });
}

}  // namespace reflux
