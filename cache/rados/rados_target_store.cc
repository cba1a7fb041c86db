#include "cache/rados/rados_target_store.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cache/rados/rados_repair.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr char kFormatObject[] = "format";
constexpr char kMetaObject[] = "meta";

}  // namespace

absl::StatusOr<std::unique_ptr<TargetStore>> OpenRadosStore(const RadosStoreOptions& options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<RadosCluster> cluster, RadosCluster::Connect(options));
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<RadosNamespace> control,
                          RadosNamespace::Open(cluster, options.name));
  auto store = std::make_unique<RadosTargetStore>(options, std::move(cluster), std::move(control));
  REFLUX_RETURN_IF_ERROR(store->Load());
  return store;
}

RadosTargetStore::RadosTargetStore(const RadosStoreOptions& options,
                                   std::shared_ptr<RadosCluster> cluster,
                                   std::shared_ptr<RadosNamespace> control)
    : options_(options),
      cluster_(std::move(cluster)),
      control_(std::move(control)),
      usage_(*options.clock),
      index_(*control_, usage_),
      sets_(*control_, usage_, *options.clock) {}

absl::Status RadosTargetStore::Load() {
  REFLUX_RETURN_IF_ERROR(CheckFormat());
  return RefreshOlderThan(absl::ZeroDuration());
}

absl::Status RadosTargetStore::CheckFormat() {
  const std::string format = absl::StrCat(kRadosFormatVersion, "\n");
  const absl::Status created = control_->Create(kFormatObject, format, "");
  if (!absl::IsAlreadyExists(created)) return created;
  REFLUX_ASSIGN_OR_RETURN(const std::string there, control_->ReadStart(kFormatObject, 16));
  if (there == format) return absl::OkStatus();
  if (there == absl::StrCat(kOldestRadosFormatVersion, "\n")) {
    return control_->Replace(kFormatObject, format, "");
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the store ", options_.name, " in pool ", options_.pool, " has format ",
                   there.substr(0, there.find('\n')), ", this program reads format ",
                   kRadosFormatVersion, ": choose another name"));
}

absl::Status RadosTargetStore::RefreshOlderThan(absl::Duration age) {
  const absl::Duration uptime = options_.clock->Uptime();
  {
    MutexLock lock(mutex_);
    if (age > absl::ZeroDuration() && uptime - refreshed_ < age) return absl::OkStatus();
    refreshed_ = uptime;
  }
  REFLUX_RETURN_IF_ERROR(sets_.Refresh());
  REFLUX_RETURN_IF_ERROR(index_.Refresh());
  free_bytes_ = cluster_->FreeBytes();
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<RadosNamespace>> RadosTargetStore::SpaceOf(const TargetSetId& set) {
  MutexLock lock(mutex_);
  std::shared_ptr<RadosNamespace>& space = spaces_[set];
  if (space == nullptr) {  // costs no round trip
    REFLUX_ASSIGN_OR_RETURN(space,
                            RadosNamespace::Open(cluster_, SetNamespace(options_.name, set)));
  }
  return space;
}

absl::Status RadosTargetStore::Put(const TargetKey& key, const TargetSet& set,
                                   const TargetOrigin& origin, const EncodedTarget& target) {
  REFLUX_RETURN_IF_ERROR(target.Verify());
  const KeyLocks::Hold hold(writers_, key);
  const absl::Status present = index_.Find(key).status();
  if (present.ok()) return absl::OkStatus();
  if (!absl::IsNotFound(present) && !absl::IsDataLoss(present)) {
    return Refuse(std::string(present.message()));
  }
  const auto bytes = static_cast<int64_t>(target.bytes.size());
  REFLUX_RETURN_IF_ERROR(MakeRoom(bytes));
  const absl::Status written = Write(key, set, origin, target);
  usage_.CancelReservation(bytes);  // what was stored has been counted
  if (!written.ok()) return Refuse(std::string(written.message()));
  storing_ = true;
  return absl::OkStatus();
}

absl::Status RadosTargetStore::MakeRoom(int64_t bytes) {
  const int64_t capacity = options_.capacity_bytes;
  if (capacity > 0) {
    const absl::Status fresh = RefreshOlderThan(options_.refresh_after);
    if (!fresh.ok()) return Refuse(std::string(fresh.message()));
  }
  if (usage_.Reserve(bytes, capacity)) return absl::OkStatus();
  const MutexLock lock(eviction_);
  const absl::Status fresh = RefreshOlderThan(absl::ZeroDuration());
  if (!fresh.ok()) return Refuse(std::string(fresh.message()));
  const int64_t excess = usage_.bytes() + bytes - capacity;
  if (excess <= usage_.UnleasedBytes()) {  // nothing goes in vain
    const absl::StatusOr<int64_t> freed = Evict(EvictionGoal(excess, capacity));
    if (!freed.ok()) return Refuse(std::string(freed.status().message()));
  }
  if (usage_.Reserve(bytes, capacity)) return absl::OkStatus();
  return Refuse(absl::StrCat("the capacity of ", capacity, " bytes is used up by leased sets"));
}

absl::Status RadosTargetStore::Refuse(const std::string& why) {
  storing_ = false;
  ++refused_;
  const std::string message = absl::StrCat("the cache in rados:", options_.pool, "/", options_.name,
                                           " stores nothing: ", why);
  if (!said_full_.exchange(true)) {
    spdlog::warn("{}. Stored targets are still served, new ones pass through unstored.", message);
  }
  return absl::ResourceExhaustedError(message);
}

uint64_t RadosTargetStore::NextStamp() {
  const auto now = static_cast<uint64_t>(absl::ToUnixMicros(options_.clock->Now()));
  MutexLock lock(mutex_);
  last_stamp_ = std::max(last_stamp_ + 1, now);
  return last_stamp_;
}

absl::Status RadosTargetStore::Write(const TargetKey& key, const TargetSet& set,
                                     const TargetOrigin& origin, const EncodedTarget& target) {
  const TargetSetId id = MakeTargetSetId(set);
  const RadosHeader header{.size = target.bytes.size(),
                           .key = key,
                           .set = id,
                           .form = RadosForm::Of(target),
                           .origin = origin};
  const RadosEntry entry{
      .size = header.size, .stamp = NextStamp(), .set = id, .origin = origin, .form = header.form};
  REFLUX_RETURN_IF_ERROR(sets_.Describe(id, set));
  REFLUX_ASSIGN_OR_RETURN(const auto space, SpaceOf(id));
  REFLUX_RETURN_IF_ERROR(WriteValue(*space, header, target.bytes));
  // The value exists for others from here on.
  REFLUX_ASSIGN_OR_RETURN(const bool inserted, index_.Insert(key, entry));
  if (inserted) locations_.Remember(key, entry);
  return absl::OkStatus();
}

absl::Status RadosTargetStore::Drop(const TargetKey& key) {
  const KeyLocks::Hold hold(writers_, key);
  return Remove(key).status();
}

// The entry first: a crash in between leaves a value that nobody sees, which Reclaim finds.
absl::StatusOr<int64_t> RadosTargetStore::Remove(const TargetKey& key) {
  locations_.Forget(key);
  REFLUX_ASSIGN_OR_RETURN(const std::optional<RadosEntry> entry, index_.Erase(key));
  if (!entry.has_value()) return 0;
  REFLUX_ASSIGN_OR_RETURN(const auto space, SpaceOf(entry->set));
  REFLUX_RETURN_IF_ERROR(RemoveValue(*space, key, entry->size));
  return static_cast<int64_t>(entry->size);
}

StoreStats RadosTargetStore::stats() const {
  return {.entries = usage_.entries(),
          .live_bytes = usage_.bytes(),
          .disk_bytes = usage_.bytes(),
          .capacity_bytes = options_.capacity_bytes,
          .free_disk_bytes = free_bytes_,
          .refused = refused_,
          .evicted = evicted_,
          .storing = storing_,
          .directory = absl::StrCat("rados:", options_.pool, "/", options_.name)};
}

absl::StatusOr<std::vector<StoredSet>> RadosTargetStore::ListSets() {
  REFLUX_RETURN_IF_ERROR(RefreshOlderThan(absl::ZeroDuration()));
  std::vector<StoredSet> sets = usage_.List();
  std::erase_if(sets, [](const StoredSet& set) { return set.entries == 0; });
  return sets;
}

absl::Status RadosTargetStore::Visit(const std::optional<TargetSetId>& set,
                                     const std::function<absl::Status(const StoredEntry&)>& visit) {
  return index_.Visit([&](const TargetKey& key, const RadosEntry& entry) {
    if (set.has_value() && entry.set != *set) return absl::OkStatus();
    return visit({.key = key,
                  .set = entry.set,
                  .origin = entry.origin,
                  .bytes = static_cast<int64_t>(entry.size)});
  });
}

absl::StatusOr<int64_t> RadosTargetStore::RemoveSet(const TargetSetId& id) {
  REFLUX_RETURN_IF_ERROR(RefreshOlderThan(absl::ZeroDuration()));
  REFLUX_RETURN_IF_ERROR(sets_.Unpin(id));
  REFLUX_ASSIGN_OR_RETURN(const auto space, SpaceOf(id));
  int64_t freed = 0;
  REFLUX_RETURN_IF_ERROR(space->List([&](const std::string& object) -> absl::Status {
    const absl::StatusOr<TargetKey> key = ParseEntryName(object);
    if (!key.ok()) return absl::OkStatus();  // a part: goes with its head
    REFLUX_ASSIGN_OR_RETURN(const int64_t bytes, Remove(*key));
    freed += bytes;
    return bytes > 0 ? absl::OkStatus() : space->Remove(object);
  }));
  const std::optional<StoredSet> left = usage_.Find(id);
  if (!left.has_value() || left->entries == 0) return freed;
  // Entries whose value is gone.
  REFLUX_RETURN_IF_ERROR(Visit(id, [&](const StoredEntry& entry) -> absl::Status {
    REFLUX_ASSIGN_OR_RETURN(const int64_t bytes, Remove(entry.key));
    freed += bytes;
    return absl::OkStatus();
  }));
  return freed;
}

absl::Status RadosTargetStore::Pin(const TargetSetId& id, absl::Duration term) {
  REFLUX_RETURN_IF_ERROR(RefreshOlderThan(absl::ZeroDuration()));
  return sets_.Pin(id, term);
}

absl::StatusOr<int64_t> RadosTargetStore::Evict(int64_t bytes) {
  REFLUX_RETURN_IF_ERROR(RefreshOlderThan(absl::ZeroDuration()));
  std::vector<std::pair<uint64_t, TargetKey>> oldest;  // stamp
  REFLUX_RETURN_IF_ERROR(index_.Visit([&](const TargetKey& key, const RadosEntry& entry) {
    if (!usage_.Leased(entry.set)) oldest.emplace_back(entry.stamp, key);
    return absl::OkStatus();
  }));
  std::sort(oldest.begin(), oldest.end());
  int64_t freed = 0;
  for (const auto& [stamp, key] : oldest) {
    if (freed >= bytes) break;
    REFLUX_ASSIGN_OR_RETURN(const int64_t size, Remove(key));
    if (size > 0) ++evicted_;  // else another server was first
    freed += size;
  }
  return freed;
}

absl::StatusOr<int64_t> RadosTargetStore::Reclaim(const FetchContext& context) {
  REFLUX_RETURN_IF_ERROR(RefreshOlderThan(absl::ZeroDuration()));
  REFLUX_ASSIGN_OR_RETURN(const std::vector<std::string> spaces,
                          control_->ListNamespaces(options_.name + "/"));
  RadosRepair repair(index_, usage_, [this] { return NextStamp(); });
  for (const std::string& name : spaces) {
    const auto digest = Digest::FromHex(absl::string_view(name).substr(options_.name.size() + 1));
    if (!digest.ok()) continue;
    REFLUX_ASSIGN_OR_RETURN(const auto space, SpaceOf({*digest}));
    REFLUX_RETURN_IF_ERROR(repair.MendSet(context, {*digest}, space));
  }
  REFLUX_RETURN_IF_ERROR(repair.DropEntriesWithoutValue(
      context, [this](const TargetSetId& set) { return SpaceOf(set); }));
  REFLUX_ASSIGN_OR_RETURN(const int64_t recounted, index_.Recount());
  if (const RepairReport& report = repair.report();
      report.taken_in + report.dropped > 0 || recounted > 0) {
    spdlog::info("rados store: took in {} values, dropped {} entries, mended {} counts",
                 report.taken_in, report.dropped, recounted);
  }
  return repair.report().freed_bytes;
}

absl::StatusOr<std::string> RadosTargetStore::GetMeta(const std::string& name) {
  REFLUX_ASSIGN_OR_RETURN(const RadosNamespace::Map values,
                          control_->ReadMap({kMetaObject, {name}}));
  if (values.empty()) return absl::NotFoundError(absl::StrCat("no ", name, " stored"));
  return values.begin()->second;
}

absl::Status RadosTargetStore::PutMeta(const std::string& name, const std::string& value) {
  return control_->ChangeMap(kMetaObject, {.set = {{name, value}}});
}

}  // namespace reflux
