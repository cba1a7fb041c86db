#include "cache/rocks_target_store.h"

#include <spdlog/spdlog.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cache/mend_families.h"
#include "cache/set_record.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// `Reclaim` writes a table again when at least an eighth of it is dead.
constexpr double kWorthKeeping = 0.875;
// When the disk is short, only what frees at least as much as it costs.
constexpr double kWorthMoving = 0.5;
constexpr absl::Duration kSayFullAgain = absl::Minutes(10);

// -1 when that cannot be told.
int64_t FreeDiskBytes(const std::string& directory) {
  struct statvfs info {};
  if (statvfs(directory.c_str(), &info) != 0) return -1;
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

int64_t TableBytes(const RocksTargetStoreOptions& options) {
  constexpr int64_t kMiB = int64_t{1} << 20;
  if (options.table_bytes > 0) return options.table_bytes;
  if (options.capacity_bytes == 0) return 64 * kMiB;
  return std::clamp(options.capacity_bytes / 16, 4 * kMiB, 64 * kMiB);
}

}  // namespace

absl::Status RocksTargetStoreOptions::Validate() const {
  if (directory.empty()) return absl::InvalidArgumentError("cache directory: must be given");
  if (capacity_bytes < 0 || min_free_disk_bytes < 0 || table_bytes < 0) {
    return absl::InvalidArgumentError(
        "cache capacity, free-disk floor and table size: must not be negative");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RocksTargetStore>> RocksTargetStore::Open(
    const RocksTargetStoreOptions& options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<RocksHandles> handles,
                          OpenRocks(options.directory, TableBytes(options)));
  REFLUX_RETURN_IF_ERROR(MendFamilies(*handles));
  auto store = std::unique_ptr<RocksTargetStore>(new RocksTargetStore(options, std::move(handles)));
  REFLUX_RETURN_IF_ERROR(store->LoadSets());
  REFLUX_RETURN_IF_ERROR(store->entries_.Load());
  return store;
}

RocksTargetStore::RocksTargetStore(const RocksTargetStoreOptions& options,
                                   std::shared_ptr<RocksHandles> handles)
    : options_(options),
      handles_(std::move(handles)),
      usage_(*options.clock),
      entries_(handles_, usage_, *options.clock) {}

RocksTargetStore::~RocksTargetStore() {
  rocksdb::WriteBatch batch;
  for (const StoredSet& set : usage_.List()) {
    if (set.entries == 0 || !usage_.Knows(set.id)) continue;
    batch.Put(handles_->sets, ToSlice(set.id.digest.AsBytes()), EncodeSetRecord(set));
  }
  const rocksdb::Status status = handles_->db->Write({}, &batch);
  if (!status.ok()) spdlog::debug("cache: last uses not written: {}", status.ToString());
}

absl::Status RocksTargetStore::LoadSets() {
  std::unique_ptr<rocksdb::Iterator> it(handles_->db->NewIterator({}, handles_->sets));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const absl::StatusOr<StoredSet> set =
        DecodeSetRecord(FromSlice(it->key()), FromSlice(it->value()));
    if (set.ok()) {
      usage_.Restore(*set);
    } else {
      spdlog::warn("cache {}: {}", options_.directory, set.status().ToString());
    }
  }
  const absl::Status read = FromRocks(it->status(), "cache sets");
  if (!absl::IsDataLoss(read)) return read;
  // Targets are found without their sets' names, and the next Put names its set again.
  spdlog::warn("cache {}: the names of target sets are damaged and are forgotten: {}",
               options_.directory, read.ToString());
  return handles_->Recreate(handles_->sets);
}

absl::StatusOr<EncodedTarget> RocksTargetStore::ReadTo(const PlaceFn& place, const TargetKey& key,
                                                       Use use) {
  REFLUX_ASSIGN_OR_RETURN(StoredTarget stored, ReadTarget(handles_, key, place));
  if (use == Use::kTraining) Used(stored.record.set);
  return std::move(stored.target);
}

absl::StatusOr<LocatedTarget> RocksTargetStore::Locate(const TargetKey& key, Use use) {
  REFLUX_ASSIGN_OR_RETURN(const IndexRecord record, ReadRecord(*handles_, key));
  REFLUX_ASSIGN_OR_RETURN(LocatedTarget located, LocateTarget(*handles_, record));
  if (use == Use::kTraining) Used(record.set);
  return located;
}

// What a restart must know is written down once a minute, and no reader waits for that.
void RocksTargetStore::Used(const TargetSetId& id) {
  if (!usage_.Touch(id)) return;
  rocksdb::WriteOptions options;
  options.no_slowdown = true;
  const absl::Status written = WriteSet(id, options);
  if (!written.ok()) spdlog::debug("cache: last use not written: {}", written.ToString());
}

absl::Status RocksTargetStore::WriteSet(const TargetSetId& id,
                                        const rocksdb::WriteOptions& options) {
  const std::optional<StoredSet> set = usage_.Find(id);
  if (!set.has_value() || !usage_.Knows(id)) return absl::OkStatus();  // its name is lost
  return FromRocks(handles_->db->Put(options, handles_->sets, ToSlice(id.digest.AsBytes()),
                                     EncodeSetRecord(*set)),
                   "cache set");
}

bool RocksTargetStore::Contains(const TargetKey& key) { return ReadRecord(*handles_, key).ok(); }

absl::Status RocksTargetStore::Put(const TargetKey& key, const TargetSet& set,
                                   const TargetOrigin& origin, const EncodedTarget& target) {
  REFLUX_RETURN_IF_ERROR(target.Verify());
  REFLUX_RETURN_IF_ERROR(origin.view.Validate());  // its record could not be read again
  const TargetSetId id = MakeTargetSetId(set);
  Used(id);  // its own entries do not make room for it
  if (Contains(key)) return absl::OkStatus();
  const auto bytes = static_cast<int64_t>(target.bytes.size());
  REFLUX_RETURN_IF_ERROR(MakeRoom(bytes));
  const absl::StatusOr<bool> inserted = entries_.Insert(key, set, origin, target);
  if (!inserted.ok() || !*inserted) usage_.CancelReservation(bytes);
  if (!inserted.ok()) {
    Pause();
    return Refuse(std::string(inserted.status().message()));
  }
  Used(id);
  retry_at_ms_ = 0;
  storing_ = true;
  return absl::OkStatus();
}

void RocksTargetStore::Pause() {
  retry_at_ms_ = absl::ToInt64Milliseconds(options_.clock->Uptime() + options_.retry_after);
}

absl::Status RocksTargetStore::MakeRoom(int64_t bytes) {
  if (const int64_t retry_at = retry_at_ms_; retry_at != 0) {
    if (absl::ToInt64Milliseconds(options_.clock->Uptime()) < retry_at) {
      return Refuse("the last write failed, or the disk was short");
    }
    // The write tells whether it helped.
    if (const rocksdb::Status resumed = handles_->db->Resume(); !resumed.ok())
      spdlog::warn("cache {}: cannot write yet: {}", options_.directory, resumed.ToString());
  }
  REFLUX_RETURN_IF_ERROR(KeepFloor(bytes));
  if (usage_.Reserve(bytes, options_.capacity_bytes)) return absl::OkStatus();
  MutexLock lock(evicting_);
  const int64_t excess = usage_.bytes() + bytes - options_.capacity_bytes;
  if (excess > 0 && excess <= usage_.UnleasedBytes()) {  // nothing goes in vain
    const absl::Status evicted = Evict(EvictionGoal(excess, options_.capacity_bytes)).status();
    if (!evicted.ok()) {
      Pause();
      return Refuse(std::string(evicted.message()));
    }
  }
  if (usage_.Reserve(bytes, options_.capacity_bytes)) return absl::OkStatus();
  return Refuse(absl::StrCat("the capacity of ", options_.capacity_bytes,
                             " bytes is used up by sets in use"));
}

// The disk is shared with others: when they take it, the cache gives way.
absl::Status RocksTargetStore::KeepFloor(int64_t bytes) {
  const auto missing = [&] {
    const int64_t free = FreeDiskBytes(options_.directory);
    // An endless floor must not overflow.
    const int64_t floor = std::min(options_.min_free_disk_bytes, int64_t{1} << 60);
    return free < 0 ? 0 : floor + bytes - free;
  };
  if (missing() <= 0) return absl::OkStatus();
  MutexLock lock(evicting_);
  const int64_t short_of = missing();
  if (short_of <= 0) return absl::OkStatus();
  absl::Status evicted;
  if (short_of <= usage_.UnleasedBytes()) {
    evicted = Evict(EvictionGoal(short_of, usage_.bytes())).status();
    if (evicted.ok() && missing() > 0) evicted = entries_.Compact(kWorthMoving, {});
  }
  if (missing() <= 0) return absl::OkStatus();
  Pause();
  return Refuse(absl::StrCat("the disk's free space is ", missing(), " bytes below the floor of ",
                             options_.min_free_disk_bytes, evicted.ok() ? "" : "; ",
                             evicted.message()));
}

absl::Status RocksTargetStore::Refuse(const std::string& why) {
  storing_ = false;
  ++refused_;
  const std::string message =
      absl::StrCat("the cache in ", options_.directory, " stores nothing more: ", why);
  const int64_t now = absl::ToInt64Milliseconds(options_.clock->Uptime());
  int64_t not_before = say_full_at_ms_;
  if (now >= not_before && say_full_at_ms_.compare_exchange_strong(
                               not_before, now + absl::ToInt64Milliseconds(kSayFullAgain))) {
    spdlog::warn("{}. Stored targets are still served, new ones pass through unstored.", message);
  }
  return absl::ResourceExhaustedError(message);
}

absl::Status RocksTargetStore::Drop(const TargetKey& key) { return entries_.Erase(key); }

StoreStats RocksTargetStore::stats() const {
  return {.entries = usage_.entries(),
          .live_bytes = usage_.bytes(),
          .disk_bytes = DiskBytes(*handles_),
          .capacity_bytes = options_.capacity_bytes,
          .free_disk_bytes = std::max<int64_t>(0, FreeDiskBytes(options_.directory)),
          .refused = refused_,
          .evicted = evicted_,
          .storing = storing_,
          .directory = options_.directory};
}

absl::StatusOr<std::vector<StoredSet>> RocksTargetStore::ListSets() {
  std::vector<StoredSet> sets = usage_.List();
  std::erase_if(sets, [](const StoredSet& set) { return set.entries == 0; });
  return sets;
}

absl::Status RocksTargetStore::Visit(const std::optional<TargetSetId>& set,
                                     const std::function<absl::Status(const StoredEntry&)>& visit) {
  return entries_.Visit([&](const StoredEntry& entry) {
    return !set.has_value() || entry.set == *set ? visit(entry) : absl::OkStatus();
  });
}

absl::StatusOr<int64_t> RocksTargetStore::RemoveSet(const TargetSetId& id) {
  usage_.Pin(id, absl::ZeroDuration());
  REFLUX_ASSIGN_OR_RETURN(
      const int64_t freed,
      entries_.EraseOldest(std::numeric_limits<int64_t>::max(),
                           [&id](const TargetSetId& set) { return set == id; }));
  REFLUX_RETURN_IF_ERROR(entries_.Compact(kWorthMoving, {}));
  REFLUX_RETURN_IF_ERROR(WriteSet(id, {}));  // without its pin
  return freed;
}

absl::Status RocksTargetStore::Pin(const TargetSetId& id, absl::Duration term) {
  if (!usage_.Pin(id, term)) return absl::NotFoundError("no such target set");
  return WriteSet(id, {});
}

absl::StatusOr<int64_t> RocksTargetStore::Evict(int64_t bytes) {
  const int64_t before = usage_.entries();
  REFLUX_ASSIGN_OR_RETURN(
      const int64_t freed,
      entries_.EraseOldest(bytes, [this](const TargetSetId& set) { return !usage_.Leased(set); }));
  evicted_ += std::max<int64_t>(0, before - usage_.entries());
  return freed;
}

absl::StatusOr<int64_t> RocksTargetStore::Reclaim(const FetchContext& context) {
  const int64_t before = DiskBytes(*handles_);
  REFLUX_RETURN_IF_ERROR(entries_.Compact(kWorthKeeping, context));
  for (rocksdb::ColumnFamilyHandle* family : {handles_->index, handles_->order, handles_->sets}) {
    REFLUX_RETURN_IF_ERROR(context.Check());
    REFLUX_RETURN_IF_ERROR(
        FromRocks(handles_->db->CompactRange({}, family, nullptr, nullptr), "cache compaction"));
  }
  return std::max<int64_t>(0, before - DiskBytes(*handles_));
}

absl::StatusOr<std::string> RocksTargetStore::GetMeta(const std::string& name) {
  std::string value;
  const rocksdb::Status status = handles_->db->Get({}, handles_->meta, name, &value);
  if (status.IsNotFound()) return absl::NotFoundError(absl::StrCat("no ", name, " stored"));
  REFLUX_RETURN_IF_ERROR(FromRocks(status, "cache meta"));
  return value;
}

absl::Status RocksTargetStore::PutMeta(const std::string& name, const std::string& value) {
  return FromRocks(handles_->db->Put({}, handles_->meta, name, value), "cache meta");
}

}  // namespace reflux
