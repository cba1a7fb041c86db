#include "cache/fetch_call.h"

#include <spdlog/spdlog.h>

#include <utility>

namespace reflux {
namespace {

// A target that the store fails to return this often is fetched past the store.
constexpr int kMaxTries = 2;

}  // namespace

void FetchCall::Run() {
  ListItems();
  Cancellation::Registration on_cancel;
  if (context_.cancellation != nullptr) {
    on_cancel = context_.cancellation->OnCancel([this] { parts_.table.Stop(waiter_); });
  }
  // The misses are under way before the first hit is delivered: the sink may block.
  std::vector<TargetKey> keys;
  for (const Item& item : items_) keys.push_back(item.key);
  const std::vector<bool> contained = parts_.store.ContainsMany(keys);
  std::vector<size_t> present, missing;
  for (size_t i = 0; i < items_.size(); ++i) (contained[i] ? present : missing).push_back(i);
  parts_.counters.Misses(static_cast<int64_t>(missing.size()));
  Ask(missing);
  DeliverPresent(present);
  Await();
  PassThrough();
  FailRest();
}

void FetchCall::ListItems() {
  for (size_t sample = 0; sample < request_.samples.size(); ++sample) {
    for (size_t spec = 0; spec < request_.specs.size(); ++spec) {
      items_.push_back(
          {.index = {sample, spec},
           .key = MakeTargetKey(request_.teacher, request_.samples[sample], request_.specs[spec])});
    }
  }
}

void FetchCall::Ask(const std::vector<size_t>& items) {
  const auto fill = std::make_shared<FlightTable::Fill>();
  std::vector<Filler::Wanted> wanted;
  for (size_t item : items) {
    const Item& asked = items_[item];
    const bool with_image = request_.samples[asked.index.sample].image != nullptr;
    auto flight = parts_.table.Join({asked.key, with_image}, fill, waiter_, item);
    if (flight != nullptr) wanted.push_back({asked.index, asked.key, std::move(flight)});
  }
  parts_.filler.Begin(parts_.table, fill, request_, std::move(wanted), context_.priority,
                      parts_.teacher.ModelOf(request_.teacher));
}

void FetchCall::DeliverPresent(const std::vector<size_t>& present) {
  if (!context_.Check().ok()) return;
  if (wants_ == Wants::kStored) {  // it is
    for (size_t item : present) Deliver(item, EncodedTarget());
    return;
  }
  std::vector<size_t> to_read;
  for (size_t item : present) {
    if (!DeliverLocated(item)) to_read.push_back(item);
  }
  ReadAndDeliver(to_read);
}

bool FetchCall::DeliverLocated(size_t item) {
  if (!sink_.takes_locations()) return false;
  const absl::StatusOr<LocatedTarget> located =
      parts_.store.Locate(items_[item].key, Use::kTraining);
  if (!located.ok()) return false;
  parts_.counters.Hit(static_cast<int64_t>(located->location.size));
  items_[item].delivered = true;
  const TargetIndex& index = items_[item].index;
  sink_.DeliverLocation(index.sample, index.spec, located->coming, located->location);
  return true;
}

void FetchCall::ReadAndDeliver(const std::vector<size_t>& present) {
  std::vector<TargetKey> keys;
  for (size_t item : present) keys.push_back(items_[item].key);
  const auto deliver = [&](size_t i, absl::StatusOr<EncodedTarget> target) {
    if (!DeliverRead(present[i], std::move(target), true)) {
      parts_.counters.Misses(1);
      Ask({present[i]});
    }
    return context_.Check().ok();
  };
  const auto place = [&](size_t i, const EncodedTarget& coming, size_t size) {
    const TargetIndex& index = items_[present[i]].index;
    return sink_.Place(index.sample, index.spec, coming, size);
  };
  parts_.store.ReadMany(keys, Use::kTraining, deliver, place);
}

bool FetchCall::DeliverRead(size_t item, absl::StatusOr<EncodedTarget> target, bool hit) {
  if (target.ok()) {
    if (hit) parts_.counters.Hit(static_cast<int64_t>(target->bytes.size()));
    Deliver(item, std::move(target));
    return true;
  }
  if (absl::IsNotFound(target.status())) return false;
  spdlog::warn("cache: entry {} is asked for again: {}", items_[item].key.digest.Short(),
               target.status().ToString());
  if (absl::IsDataLoss(target.status())) {
    parts_.counters.Corrupted();
    const absl::Status dropped = parts_.store.Drop(items_[item].key);
    if (!dropped.ok()) spdlog::warn("cache: not dropped: {}", dropped.ToString());
  } else {
    parts_.counters.ReadError();  // it may pass: the entry stays
  }
  return false;
}

void FetchCall::Await() {
  while (auto landed = parts_.table.Next(waiter_, context_.deadline)) {
    auto& [item, landing] = *landed;
    switch (landing.kind) {
      case Landing::Kind::kTarget: {
        EncodedTarget target = *landing.target;
        landing.target.reset();
        Deliver(item, std::move(target));
        break;
      }
      case Landing::Kind::kStored:
        DeliverStoredOrAsk(item);
        break;
      case Landing::Kind::kLost:
        lost_.push_back(item);
        break;
      case Landing::Kind::kFailed:
        Deliver(item, landing.status);
        break;
    }
  }
}

void FetchCall::DeliverStoredOrAsk(size_t item) {
  if (wants_ == Wants::kStored && parts_.store.Contains(items_[item].key)) {
    Deliver(item, EncodedTarget());
    return;
  }
  if (DeliverRead(item, parts_.store.Get(items_[item].key), false)) return;
  if (++items_[item].tries < kMaxTries) {
    Ask({item});
  } else {
    lost_.push_back(item);
  }
}

void FetchCall::PassThrough() {
  if (lost_.empty() || !context_.Check().ok()) return;
  if (wants_ == Wants::kStored) {
    for (size_t item : lost_) Deliver(item, EncodedTarget());
    return;
  }
  struct Sink : TargetSink {
    FetchCall* call;
    const SpecGroup* group;
    void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
      call->Deliver(call->lost_[group->places[sample][spec]], std::move(target));
    }
    char* Place(size_t sample, size_t spec, const EncodedTarget& coming, size_t size) override {
      const TargetIndex& index = call->items_[call->lost_[group->places[sample][spec]]].index;
      return call->sink_.Place(index.sample, index.spec, coming, size);
    }
  } sink;
  std::vector<TargetIndex> chosen;
  for (size_t item : lost_) chosen.push_back(items_[item].index);
  for (const SpecGroup& group : GroupBySpecs(request_, chosen)) {
    sink.call = this;
    sink.group = &group;
    parts_.counters.Fills(static_cast<int64_t>(group.places.size() * group.request.specs.size()));
    const absl::Status status = parts_.upstream.Fetch(context_, group.request, sink);
    if (status.ok()) continue;
    for (const auto& places : group.places) {
      for (size_t place : places) Deliver(lost_[place], status);
    }
  }
}

void FetchCall::Deliver(size_t item, absl::StatusOr<EncodedTarget> target) {
  if (std::exchange(items_[item].delivered, true)) return;
  if (wants_ == Wants::kStored && target.ok()) {
    target = EncodedTarget();  // lets go of the bytes
    if (!parts_.store.Contains(items_[item].key)) {
      target = absl::FailedPreconditionError("not stored: the cache is full or cannot write");
    }
  }
  sink_.Deliver(items_[item].index.sample, items_[item].index.spec, std::move(target));
}

void FetchCall::FailRest() {
  parts_.table.Leave(waiter_);
  absl::Status status = context_.Check();
  if (status.ok()) status = absl::DeadlineExceededError("the fetch's deadline passed");
  for (size_t item = 0; item < items_.size(); ++item) Deliver(item, status);
}

}  // namespace reflux
