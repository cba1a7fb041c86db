#include "common/targets/rendezvous_fetch.h"

#include <algorithm>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/targets/rendezvous.h"

namespace reflux {

bool RendezvousMember::Rests(absl::Time now) const {
  MutexLock lock(mutex_);
  return now < rests_until_;
}

void RendezvousMember::Ask(absl::Time now, absl::Duration rest) {
  MutexLock lock(mutex_);
  if (rests_until_ != absl::InfinitePast()) rests_until_ = now + rest;
}

void RendezvousMember::Rest(absl::Time until) {
  MutexLock lock(mutex_);
  rests_until_ = until;
}

// What one member delivers, put in the places of the whole request.
class RendezvousFetch::Part : public TargetSink {
 public:
  Part(RendezvousFetch& fetch, RendezvousMember& member, const std::vector<size_t>& samples)
      : fetch_(fetch), member_(member), samples_(samples) {}

  char* Place(size_t sample, size_t spec, const EncodedTarget& coming, size_t size) override {
    if (sample >= samples_.size()) return nullptr;
    return fetch_.Place({samples_[sample], spec}, coming, size);
  }
  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    if (sample >= samples_.size() || spec >= fetch_.request_.specs.size()) return;
    if (absl::IsUnavailable(target.status())) {  // the next round asks another member
      unreachable_ = target.status();
      return;
    }
    if (target.ok()) member_.Answered();
    fetch_.Deliver({samples_[sample], spec}, std::move(target));
  }
  const absl::Status& unreachable() const { return unreachable_; }

 private:
  RendezvousFetch& fetch_;
  RendezvousMember& member_;
  const std::vector<size_t>& samples_;
  absl::Status unreachable_;
};

std::set<RendezvousFetch::Index> RendezvousFetch::AllOf(const TargetRequest& request) {
  std::set<Index> all;
  for (size_t i = 0; i < request.samples.size(); ++i) {
    for (size_t j = 0; j < request.specs.size(); ++j) all.insert({i, j});
  }
  return all;
}

std::map<size_t, std::vector<size_t>> RendezvousFetch::Assign(const RendezvousMembers& members) {
  std::vector<std::string> names;
  std::vector<bool> rests;
  const absl::Time now = options_.now();
  for (const auto& member : members) {
    names.push_back(member->server().name);
    rests.push_back(member->Rests(now));
  }
  const bool none = std::find(rests.begin(), rests.end(), false) == rests.end();
  MutexLock lock(mutex_);
  const auto failures = [&](size_t member) REFLUX_REQUIRES(mutex_) {
    const auto found = failures_.find(names[member]);
    return found == failures_.end() ? 0 : found->second;
  };
  std::map<size_t, std::vector<size_t>> parts;
  for (auto it = missing_.begin(); it != missing_.end();) {
    const size_t sample = it->first;
    while (it != missing_.end() && it->first == sample) ++it;
    const std::vector<size_t> order =
        RendezvousOrder(PlacementKey(request_.teacher, request_.samples[sample]), names);
    // The first that can be reached; if none, the one that failed this call least often.
    size_t chosen = order.front();
    for (size_t member : order) {
      if (none ? failures(member) < failures(chosen) : !rests[member] && rests[chosen]) {
        chosen = member;
      }
    }
    if (chosen != order.front()) metrics_.failovers.Increment();
    parts[chosen].push_back(sample);
  }
  for (const auto& [member, samples] : parts) members[member]->Ask(now, options_.rest);
  return parts;
}

bool RendezvousFetch::Round(const RendezvousMembers& members) {
  const std::map<size_t, std::vector<size_t>> parts = Assign(members);
  std::vector<std::thread> threads;
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    RendezvousMember& member = *members[part->first];
    const std::vector<size_t>& samples = part->second;
    if (std::next(part) == parts.end()) {
      AskMember(member, samples);
      break;
    }
    try {
      threads.emplace_back([this, &member, &samples] { AskMember(member, samples); });
    } catch (const std::system_error&) {  // no thread to be had: one after another
      AskMember(member, samples);
    }
  }
  for (std::thread& thread : threads) thread.join();
  MutexLock lock(mutex_);
  return missing_.empty();
}

void RendezvousFetch::AskMember(RendezvousMember& member, const std::vector<size_t>& samples) {
  TargetRequest request{.teacher = request_.teacher, .specs = request_.specs};
  for (size_t sample : samples) request.samples.push_back(request_.samples[sample]);
  Part part(*this, member, samples);
  const absl::Status status = member.source().Fetch(context_, request, part);
  if (absl::IsUnavailable(status)) return Failed(member, status);
  if (!part.unreachable().ok()) return Failed(member, part.unreachable());
  member.Answered();
  if (!status.ok()) return Refused(samples, status);
  Refused(samples, absl::InternalError(
                       absl::StrCat(member.server().name, " ended without answering everything")));
}

// A round asks one member for a sample, and ends before the next begins: no two write a place at
// once.
char* RendezvousFetch::Place(const Index& index, const EncodedTarget& coming, size_t size) {
  MutexLock lock(mutex_);
  if (!missing_.contains(index)) return nullptr;
  return sink_.Place(index.first, index.second, coming, size);
}

bool RendezvousFetch::Deliver(const Index& index, absl::StatusOr<EncodedTarget> target) {
  MutexLock lock(mutex_);
  if (missing_.erase(index) == 0) return false;
  delivered_any_ = true;
  sink_.Deliver(index.first, index.second, std::move(target));
  return true;
}

void RendezvousFetch::Failed(RendezvousMember& member, const absl::Status& why) {
  member.Rest(options_.now() + options_.rest);
  MutexLock lock(mutex_);
  ++failures_[member.server().name];
  unreachable_ = why;
}

// What the member has not delivered is not asked again.
void RendezvousFetch::Refused(const std::vector<size_t>& samples, const absl::Status& why) {
  MutexLock lock(mutex_);
  for (size_t sample : samples) {
    for (size_t spec = 0; spec < request_.specs.size(); ++spec) {
      if (missing_.erase({sample, spec}) > 0) refused_[{sample, spec}] = why;
    }
  }
}

absl::Status RendezvousFetch::unreachable() const {
  MutexLock lock(mutex_);
  return unreachable_;
}

absl::Status RendezvousFetch::Finish(const absl::Status& status) {
  MutexLock lock(mutex_);
  for (const Index& index : missing_) refused_[index] = status;
  missing_.clear();
  if (refused_.empty()) return absl::OkStatus();
  if (!delivered_any_) return refused_.begin()->second;
  for (const auto& [index, why] : refused_) sink_.Deliver(index.first, index.second, why);
  return absl::OkStatus();
}

}  // namespace reflux
