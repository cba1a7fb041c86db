#include "cache/flights.h"

#include <algorithm>

namespace reflux {

struct FlightTable::Flight {
  FlightKey key;
  std::shared_ptr<Fill> fill;
  std::vector<std::pair<Waiter*, size_t>> waits;
  bool landed = false;
};

std::shared_ptr<FlightTable::Flight> FlightTable::Join(const FlightKey& key,
                                                       const std::shared_ptr<Fill>& fill,
                                                       Waiter& waiter, size_t item) {
  MutexLock lock(mutex_);
  // A flight with the image serves those without one too.
  auto it = flights_.find({key.target, true});
  if (it == flights_.end() && !key.with_image) it = flights_.find(key);
  const bool begins = it == flights_.end();
  if (begins) {
    it = flights_.emplace(key, std::make_shared<Flight>(Flight{.key = key, .fill = fill})).first;
    ++fill->aloft;
  }
  const std::shared_ptr<Flight>& flight = it->second;
  flight->waits.emplace_back(&waiter, item);
  waiter.flights.push_back(flight);
  ++flight->fill->interest;
  return begins ? flight : nullptr;
}

void FlightTable::Land(const std::shared_ptr<Flight>& flight, const Landing& landing) {
  std::shared_ptr<Cancellation> abandoned;
  {
    MutexLock lock(mutex_);
    if (flight->landed) return;
    flight->landed = true;
    --flight->fill->aloft;
    const auto it = flights_.find(flight->key);
    if (it != flights_.end() && it->second == flight) flights_.erase(it);
    for (auto& [waiter, item] : flight->waits) {
      waiter->landed.emplace_back(item, landing);
      std::erase(waiter->flights, flight);
      waiter->changed.NotifyAll();
    }
    flight->fill->interest -= static_cast<int>(flight->waits.size());
    flight->waits.clear();
    abandoned = Abandon(flight->fill);
  }
  if (abandoned != nullptr) abandoned->Cancel();
}

std::optional<std::pair<size_t, Landing>> FlightTable::Next(Waiter& waiter, absl::Time deadline) {
  MutexLock lock(mutex_);
  while (!waiter.stopped && waiter.landed.empty() && !waiter.flights.empty()) {
    if (!waiter.changed.WaitUntil(mutex_, deadline) && waiter.landed.empty()) return std::nullopt;
  }
  if (waiter.stopped || waiter.landed.empty()) return std::nullopt;
  std::pair<size_t, Landing> next = std::move(waiter.landed.front());
  waiter.landed.pop_front();
  return next;
}

void FlightTable::Stop(Waiter& waiter) {
  MutexLock lock(mutex_);
  waiter.stopped = true;
  waiter.changed.NotifyAll();
}

void FlightTable::Leave(Waiter& waiter) {
  std::vector<std::shared_ptr<Cancellation>> abandoned;
  {
    MutexLock lock(mutex_);
    for (const std::shared_ptr<Flight>& flight : waiter.flights) {
      flight->fill->interest -= static_cast<int>(
          std::erase_if(flight->waits, [&](const auto& wait) { return wait.first == &waiter; }));
      abandoned.push_back(Abandon(flight->fill));
    }
    waiter.flights.clear();
    waiter.landed.clear();
  }
  for (const auto& cancellation : abandoned) {
    if (cancellation != nullptr) cancellation->Cancel();
  }
}

std::shared_ptr<Cancellation> FlightTable::Abandon(const std::shared_ptr<Fill>& fill) {
  if (fill->interest > 0 || fill->aloft == 0) return nullptr;
  std::erase_if(flights_, [&](const auto& entry) { return entry.second->fill == fill; });
  return fill->cancellation;
}

}  // namespace reflux
