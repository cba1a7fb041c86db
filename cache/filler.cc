#include "cache/filler.h"

#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace reflux {

struct Filler::Job {
  FlightTable& table;
  const std::shared_ptr<FlightTable::Fill> fill;
  const TargetRequest request;
  const std::vector<Wanted> wanted;
  const Priority priority;
  const std::string model;
};

// Lands the flights of one group as upstream delivers.
class Filler::Sink : public TargetSink {
 public:
  Sink(Filler& filler, Job& job, const std::vector<Wanted>& wanted, const SpecGroup& group)
      : filler_(filler), job_(job), wanted_(wanted), group_(group) {}

  void Deliver(size_t sample, size_t spec, absl::StatusOr<EncodedTarget> target) override {
    if (sample >= group_.places.size() || spec >= group_.places[sample].size()) return;
    const Wanted& wanted = wanted_[group_.places[sample][spec]];
    job_.table.Land(wanted.flight, filler_.Keep(job_, wanted, std::move(target)));
  }

 private:
  Filler& filler_;
  Job& job_;
  const std::vector<Wanted>& wanted_;
  const SpecGroup& group_;
};

void Filler::Begin(FlightTable& table, std::shared_ptr<FlightTable::Fill> fill,
                   const TargetRequest& request, std::vector<Wanted> wanted, Priority priority,
                   const std::string& model) {
  if (wanted.empty()) return;
  auto job = std::make_shared<Job>(
      Job{table, std::move(fill), request, std::move(wanted), priority, model});
  try {
    threads_.Start([this, job] { Run(*job); });
  } catch (const std::system_error& error) {
    const absl::Status status =
        absl::ResourceExhaustedError(absl::StrCat("cache: no thread for a fill: ", error.what()));
    for (const Wanted& one : job->wanted) {
      table.Land(one.flight, {.kind = Landing::Kind::kFailed, .status = status});
    }
  }
}

void Filler::Run(Job& job) {
  // A fill that ended between the caller's look at the store and its Join has left the table but is
  // in the store: look again, or it would be fetched twice.
  std::vector<TargetKey> keys;
  for (const Wanted& wanted : job.wanted) keys.push_back(wanted.key);
  const std::vector<bool> contained = store_.ContainsMany(keys);
  std::vector<Wanted> missing;
  for (size_t i = 0; i < job.wanted.size(); ++i) {
    if (contained[i]) {
      job.table.Land(job.wanted[i].flight, {.kind = Landing::Kind::kStored});
    } else {
      missing.push_back(job.wanted[i]);
    }
  }
  std::vector<TargetIndex> chosen;
  for (const Wanted& wanted : missing) chosen.push_back(wanted.index);
  for (const SpecGroup& group : GroupBySpecs(job.request, chosen)) FetchGroup(job, missing, group);
}

void Filler::FetchGroup(Job& job, const std::vector<Wanted>& wanted, const SpecGroup& group) {
  // No deadline: the fill ends when nobody waits any more (FlightTable::Leave cancels it).
  const FetchContext context{.cancellation = job.fill->cancellation, .priority = job.priority};
  if (!context.Check().ok()) return;  // its flights are forgotten
  const absl::Time start = absl::Now();
  counters_.Fills(static_cast<int64_t>(group.places.size() * group.request.specs.size()));
  Sink sink(*this, job, wanted, group);
  absl::Status status = upstream_.Fetch(context, group.request, sink);
  counters_.FillTook(absl::Now() - start);
  counters_.Holding(store_.stats());
  if (status.ok()) status = absl::InternalError("upstream ended without answering everything");
  for (const std::vector<size_t>& places : group.places) {
    for (size_t place : places) {
      job.table.Land(wanted[place].flight, {.kind = Landing::Kind::kFailed, .status = status});
    }
  }
}

Landing Filler::Keep(const Job& job, const Wanted& wanted, absl::StatusOr<EncodedTarget> target) {
  const TargetSpec& spec = job.request.specs[wanted.index.spec];
  if (target.ok() && (target->codec != spec.codec || target->dtype != StoredDType(spec.codec))) {
    target = absl::InternalError(absl::StrCat("upstream answered with codec ", Name(target->codec),
                                              " instead of ", Name(spec.codec)));
  }
  absl::Status stored;
  if (target.ok()) {
    const SampleRef& sample = job.request.samples[wanted.index.sample];
    const Digest label = ReadsLabels(spec.reduction) ? sample.label_digest : Digest();
    const TargetSet set{.dataset = sample.locator.dataset,
                        .teacher = job.request.teacher,
                        .spec = spec,
                        .model = job.model};
    stored = store_.Put(wanted.key, set, {sample.digest, sample.view, label}, *target);
    if (absl::IsDataLoss(stored)) target = stored;  // it does not pass its own checksum
  }
  if (!target.ok()) {
    counters_.FillError();
    return {.kind = Landing::Kind::kFailed, .status = target.status()};
  }
  if (!stored.ok()) counters_.PassedThrough();
  if (auto held = Hold(*std::move(target)); held != nullptr) {
    return {.kind = Landing::Kind::kTarget, .target = std::move(held)};
  }
  return {.kind = stored.ok() ? Landing::Kind::kStored : Landing::Kind::kLost};
}

// Null when too much is held already; what is returned counts until it is let go of.
std::shared_ptr<const EncodedTarget> Filler::Hold(EncodedTarget target) {
  const auto bytes = static_cast<int64_t>(target.bytes.size());
  if (held_bytes_.fetch_add(bytes) + bytes > max_held_bytes_) {
    held_bytes_ -= bytes;
    return nullptr;
  }
  return std::shared_ptr<const EncodedTarget>(new EncodedTarget(std::move(target)),
                                              [this, bytes](const EncodedTarget* held) {
                                                held_bytes_ -= bytes;
                                                delete held;
                                              });
}

}  // namespace reflux
