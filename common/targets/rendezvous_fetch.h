// One Fetch of a rendezvous source (rendezvous_source.h), on the caller's thread and one more for
// each further server that is asked at the same time.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/targets/rendezvous_source.h"

namespace reflux {

// A server of the list and whether it can be reached. Thread-safe.
class RendezvousMember {
 public:
  RendezvousMember(const ListedServer& server, std::unique_ptr<TargetSource> source)
      : server_(server), source_(std::move(source)) {}

  const ListedServer& server() const { return server_; }
  TargetSource& source() { return *source_; }

  bool Rests(absl::Time now) const;
  void Rest(absl::Time until);
  // It is about to be asked. After a rest this caller's request is the probe, and others go on
  // passing the member over for another `rest` unless it answers.
  void Ask(absl::Time now, absl::Duration rest);
  void Answered() { Rest(absl::InfinitePast()); }

 private:
  const ListedServer server_;
  const std::unique_ptr<TargetSource> source_;
  mutable Mutex mutex_;
  absl::Time rests_until_ REFLUX_GUARDED_BY(mutex_) = absl::InfinitePast();
};

using RendezvousMembers = std::vector<std::shared_ptr<RendezvousMember>>;

class RendezvousFetch {
 public:
  RendezvousFetch(const RendezvousOptions& options, RendezvousMetrics metrics,
                  const FetchContext& context, const TargetRequest& request, TargetSink& sink)
      : options_(options),
        metrics_(std::move(metrics)),
        context_(context),
        request_(request),
        sink_(sink) {}

  // Asks `members` for what is missing, each for its samples. True when nothing is missing any
  // more or the rest was refused for good.
  bool Round(const RendezvousMembers& members);
  // Delivers what is left with its error: the refusals, and `status` for the rest. Returns an error
  // instead when nothing was delivered and all of it was refused.
  absl::Status Finish(const absl::Status& status);
  // Why the last server could not be reached; OK if none failed.
  absl::Status unreachable() const;

 private:
  class Part;
  using Index = std::pair<size_t, size_t>;

  // The missing samples by the member that is to be asked.
  std::map<size_t, std::vector<size_t>> Assign(const RendezvousMembers& members);
  void AskMember(RendezvousMember& member, const std::vector<size_t>& samples);
  char* Place(const Index& index, const EncodedTarget& coming, size_t size);
  // False when the target was delivered before.
  bool Deliver(const Index& index, absl::StatusOr<EncodedTarget> target);
  void Failed(RendezvousMember& member, const absl::Status& why);
  void Refused(const std::vector<size_t>& samples, const absl::Status& why);

  const RendezvousOptions& options_;
  RendezvousMetrics metrics_;
  const FetchContext& context_;
  const TargetRequest& request_;
  TargetSink& sink_;

  mutable Mutex mutex_;  // also serialises the sink
  std::set<Index> missing_ REFLUX_GUARDED_BY(mutex_) = AllOf(request_);
  std::map<Index, absl::Status> refused_ REFLUX_GUARDED_BY(mutex_);
  bool delivered_any_ REFLUX_GUARDED_BY(mutex_) = false;
  std::map<std::string, int> failures_ REFLUX_GUARDED_BY(mutex_);  // of this Fetch, by name
  absl::Status unreachable_ REFLUX_GUARDED_BY(mutex_);

  static std::set<Index> AllOf(const TargetRequest& request);
};

}  // namespace reflux
