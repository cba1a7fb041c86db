// Who waits for what: the single-flight table of a caching source. Thread-safe, in memory, never
// blocks except in Next.
//
// A *flight* is one target under way from upstream; several Fetch calls may wait for it. Flights
// belong to a *fill*, one caller's misses fetched together. A fill goes on while anybody waits for
// one of its flights; when the last waiter has left it is cancelled, and its flights are forgotten
// so that nobody joins them any more.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/targets/target.h"
#include "common/targets/target_key.h"

namespace reflux {

// A caller that sends the image must not wait for a flight that left without it.
struct FlightKey {
  TargetKey target;
  bool with_image = false;
  auto operator<=>(const FlightKey&) const = default;
};

// How a flight ended.
struct Landing {
  enum class Kind {
    kTarget,  // `target` is here
    kStored,  // read it from the store
    kLost,    // computed, but neither stored nor kept: ask upstream again, alone
    kFailed,  // `status`
  };
  Kind kind = Kind::kFailed;
  std::shared_ptr<const EncodedTarget> target;
  absl::Status status;
};

class FlightTable {
 public:
  struct Flight;

  // The work of one upstream thread. Fields are the table's.
  struct Fill {
    const std::shared_ptr<Cancellation> cancellation = std::make_shared<Cancellation>();
    int interest = 0;  // waits for flights that have not landed
    int aloft = 0;     // flights that have not landed
  };

  // One Fetch call's side. Fields are the table's.
  struct Waiter {
    std::deque<std::pair<size_t, Landing>> landed;
    std::vector<std::shared_ptr<Flight>> flights;  // not landed
    CondVar changed;
    bool stopped = false;
  };

  // Makes `waiter` wait for the flight of `key` under the number `item`. When there is no such
  // flight a new one begins, belongs to `fill`, and is returned: the caller must see to it that it
  // lands.
  std::shared_ptr<Flight> Join(const FlightKey& key, const std::shared_ptr<Fill>& fill,
                               Waiter& waiter, size_t item);

  // Ends a flight; everybody who waits for it gets `landing`. Repeated calls do nothing.
  void Land(const std::shared_ptr<Flight>& flight, const Landing& landing);

  // The next landing of this waiter. Nothing when it waits for nothing more, when `deadline` has
  // passed, or after Stop.
  std::optional<std::pair<size_t, Landing>> Next(Waiter& waiter, absl::Time deadline);
  void Stop(Waiter& waiter);

  // Ends all waits of `waiter`. To be called before it is destroyed.
  void Leave(Waiter& waiter);

 private:
  // Forgets `fill` and returns its cancellation, if nobody waits for what is aloft.
  std::shared_ptr<Cancellation> Abandon(const std::shared_ptr<Fill>& fill) REFLUX_REQUIRES(mutex_);

  Mutex mutex_;
  std::map<FlightKey, std::shared_ptr<Flight>> flights_ REFLUX_GUARDED_BY(mutex_);
};

}  // namespace reflux
