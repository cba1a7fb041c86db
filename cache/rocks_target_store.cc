#include "cache/rocks_target_store.h"

#include <spdlog/spdlog.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cache/rocks_read.h"
#include "cache/set_record.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// -1 when that cannot be told.
int64_t FreeDiskBytes(const std::string& directory) {
  struct statvfs info {};
  if (statvfs(directory.c_str(), &info) != 0) return -1;
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

}  // namespace

absl::Status RocksTargetStoreOptions::Validate() const {
  if (directory.empty()) return absl::InvalidArgumentError("cache directory: must be given");
  if (capacity_bytes < 0 || min_free_disk_bytes < 0) {
    return absl::InvalidArgumentError("cache capacity and free-disk floor: must not be negative");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RocksTargetStore>> RocksTargetStore::Open(
    const RocksTargetStoreOptions& options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<RocksHandles> handles, OpenRocks(options.directory));
  auto store = std::unique_ptr<RocksTargetStore>(new RocksTargetStore(options, std::move(handles)));
  REFLUX_RETURN_IF_ERROR(store->LoadSets());
  REFLUX_RETURN_IF_ERROR(store->LoadIndex());
  return store;
}

RocksTargetStore::RocksTargetStore(const RocksTargetStoreOptions& options,
                                   std::shared_ptr<RocksHandles> handles)
    : options_(options), handles_(std::move(handles)), usage_(*options.clock) {}

// Last uses are kept in memory (a hit writes nothing) and written at an orderly end.
RocksTargetStore::~RocksTargetStore() {
  rocksdb::WriteBatch batch;
  for (const StoredSet& set : usage_.List()) {
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
  return FromRocks(it->status(), absl::StrCat("cannot read the sets of ", options_.directory));
}

absl::Status RocksTargetStore::LoadIndex() {
  std::unique_ptr<rocksdb::Iterator> it(handles_->db->NewIterator({}, handles_->index));
  uint64_t next = 0;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const absl::StatusOr<IndexRecord> record = DecodeIndexRecord(FromSlice(it->value()));
    if (!record.ok()) continue;  // Get reports it, Drop removes it
    usage_.Reserve(static_cast<int64_t>(record->size), 0);
    usage_.Added(record->set, static_cast<int64_t>(record->size));
    next = std::max(next, record->insertion + 1);
  }
  REFLUX_RETURN_IF_ERROR(
      FromRocks(it->status(), absl::StrCat("cannot read the index of ", options_.directory)));
  std::unique_ptr<rocksdb::Iterator> last(handles_->db->NewIterator({}, handles_->values));
  last->SeekToLast();
  if (last->Valid()) {
    REFLUX_ASSIGN_OR_RETURN(const uint64_t insertion, DecodeInsertion(FromSlice(last->key())));
    next = std::max(next, insertion + 1);
  }
  next_insertion_ = next;
  return absl::OkStatus();
}

absl::StatusOr<EncodedTarget> RocksTargetStore::Read(const TargetKey& key, Use use) {
  REFLUX_ASSIGN_OR_RETURN(const IndexRecord record, ReadRecord(*handles_, key));
  REFLUX_ASSIGN_OR_RETURN(EncodedTarget target, ReadValue(handles_, record));
  if (use == Use::kTraining) usage_.Touch(record.set);
  return target;
}

bool RocksTargetStore::Contains(const TargetKey& key) { return ReadRecord(*handles_, key).ok(); }

absl::Status RocksTargetStore::Put(const TargetKey& key, const TargetSet& set,
                                   const TargetOrigin& origin, const EncodedTarget& target) {
  REFLUX_RETURN_IF_ERROR(target.Verify());
  const KeyLocks::Hold hold(writers_, key);
  if (Contains(key)) return absl::OkStatus();
  usage_.Touch(MakeTargetSetId(set));  // its own entries do not make room for it
  const auto bytes = static_cast<int64_t>(target.bytes.size());
  REFLUX_RETURN_IF_ERROR(MakeRoom(bytes));
  const absl::Status written = Write(key, set, origin, target);
  if (!written.ok()) {
    usage_.CancelReservation(bytes);
    retry_at_ms_ = absl::ToInt64Milliseconds(options_.clock->Uptime() + options_.retry_after);
    return Refuse(std::string(written.message()));
  }
  retry_at_ms_ = 0;
  storing_ = true;
  return absl::OkStatus();
}

absl::Status RocksTargetStore::MakeRoom(int64_t bytes) {
  if (const int64_t retry_at = retry_at_ms_; retry_at != 0) {
    if (absl::ToInt64Milliseconds(options_.clock->Uptime()) < retry_at)
      return Refuse("the last write failed");
    handles_->db->Resume().PermitUncheckedError();  // the write tells whether it helped
  }
  const int64_t free = FreeDiskBytes(options_.directory);
  if (free >= 0 && free - bytes < options_.min_free_disk_bytes) {
    return Refuse(absl::StrCat("the disk has ", free, " bytes free, the floor is ",
                               options_.min_free_disk_bytes));
  }
  if (usage_.Reserve(bytes, options_.capacity_bytes)) return absl::OkStatus();
  const int64_t excess = usage_.bytes() + bytes - options_.capacity_bytes;
  if (excess <= usage_.UnleasedBytes()) {  // nothing goes in vain
    REFLUX_RETURN_IF_ERROR(Evict(EvictionGoal(excess, options_.capacity_bytes)).status());
  }
  if (!usage_.Reserve(bytes, options_.capacity_bytes)) {
    return Refuse(absl::StrCat("the capacity of ", options_.capacity_bytes,
                               " bytes is used up by sets in use"));
  }
  return absl::OkStatus();
}

absl::Status RocksTargetStore::Refuse(const std::string& why) {
  storing_ = false;
  ++refused_;
  const std::string message =
      absl::StrCat("the cache in ", options_.directory, " stores nothing more: ", why);
  if (!said_full_.exchange(true)) {
    spdlog::warn("{}. Stored targets are still served, new ones pass through unstored.", message);
  }
  return absl::ResourceExhaustedError(message);
}

absl::Status RocksTargetStore::Write(const TargetKey& key, const TargetSet& set,
                                     const TargetOrigin& origin, const EncodedTarget& target) {
  const TargetSetId id = MakeTargetSetId(set);
  const IndexRecord record{.insertion = next_insertion_.fetch_add(1),
                           .size = target.bytes.size(),
                           .checksum = target.checksum,
                           .set = id,
                           .dtype = target.dtype,
                           .codec = target.codec,
                           .shape = target.shape,
                           .origin = origin};
  rocksdb::WriteBatch batch(target.bytes.size() + 4096);
  batch.Put(handles_->values, EncodeInsertion(record.insertion), ToSlice(target.bytes));
  batch.Put(handles_->index, ToSlice(key.digest.AsBytes()), EncodeIndexRecord(record));
  if (!usage_.Knows(id)) {
    batch.Put(handles_->sets, ToSlice(id.digest.AsBytes()),
              EncodeSetRecord({.id = id, .set = set, .last_used = absl::Now()}));
  }
  // Into the log, not to the platter: what is acknowledged survives this process, not the machine.
  REFLUX_RETURN_IF_ERROR(FromRocks(handles_->db->Write({}, &batch), "cache write"));
  usage_.Describe(id, set);
  usage_.Touch(id);
  usage_.Added(id, static_cast<int64_t>(record.size));
  return absl::OkStatus();
}

absl::Status RocksTargetStore::Drop(const TargetKey& key) {
  const KeyLocks::Hold hold(writers_, key);
  const absl::StatusOr<IndexRecord> record = ReadRecord(*handles_, key);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  rocksdb::WriteBatch batch;
  batch.Delete(handles_->index, ToSlice(key.digest.AsBytes()));
  if (record.ok()) batch.Delete(handles_->values, EncodeInsertion(record->insertion));
  REFLUX_RETURN_IF_ERROR(FromRocks(handles_->db->Write({}, &batch), "cache drop"));
  if (record.ok()) usage_.Removed(record->set, static_cast<int64_t>(record->size));
  return absl::OkStatus();
}

StoreStats RocksTargetStore::stats() const {
  return {.entries = usage_.entries(),
          .live_bytes = usage_.bytes(),
          .disk_bytes = DiskBytes(),
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
  std::unique_ptr<rocksdb::Iterator> it(handles_->db->NewIterator({}, handles_->index));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    REFLUX_ASSIGN_OR_RETURN(const Digest digest, Digest::FromBytes(FromSlice(it->key())));
    const absl::StatusOr<IndexRecord> record = DecodeIndexRecord(FromSlice(it->value()));
    // A damaged record is visited too: Get says what it is.
    const StoredEntry entry{.key = {digest},
                            .set = record.ok() ? record->set : TargetSetId{},
                            .origin = record.ok() ? record->origin : std::nullopt,
                            .bytes = record.ok() ? static_cast<int64_t>(record->size) : 0};
    if (!set.has_value() || entry.set == *set) REFLUX_RETURN_IF_ERROR(visit(entry));
  }
  return FromRocks(it->status(), "cache index");
}

absl::StatusOr<int64_t> RocksTargetStore::Remove(
    int64_t bytes, const std::function<bool(const TargetSetId&)>& chosen) {
  std::map<uint64_t, StoredEntry> by_insertion;
  REFLUX_RETURN_IF_ERROR(Visit({}, [&](const StoredEntry& entry) {
    const absl::StatusOr<IndexRecord> record = ReadRecord(*handles_, entry.key);
    if (record.ok()) by_insertion[record->insertion] = entry;
    return absl::OkStatus();
  }));
  int64_t freed = 0;
  for (const auto& [insertion, entry] : by_insertion) {
    if (freed >= bytes) break;
    if (!chosen(entry.set)) continue;
    REFLUX_RETURN_IF_ERROR(Drop(entry.key));
    freed += entry.bytes;
  }
  return freed;
}

absl::StatusOr<int64_t> RocksTargetStore::RemoveSet(const TargetSetId& id) {
  usage_.Pin(id, absl::ZeroDuration());
  return Remove(std::numeric_limits<int64_t>::max(),
                [&id](const TargetSetId& set) { return set == id; });
}

absl::Status RocksTargetStore::Pin(const TargetSetId& id, absl::Duration term) {
  if (!usage_.Pin(id, term)) return absl::NotFoundError("no such target set");
  return WriteSet(id);
}

absl::Status RocksTargetStore::WriteSet(const TargetSetId& id) {
  const std::optional<StoredSet> set = usage_.Find(id);
  if (!set.has_value()) return absl::OkStatus();
  return FromRocks(
      handles_->db->Put({}, handles_->sets, ToSlice(id.digest.AsBytes()), EncodeSetRecord(*set)),
      "cache set");
}

absl::StatusOr<int64_t> RocksTargetStore::Evict(int64_t bytes) {
  const int64_t before = usage_.entries();
  REFLUX_ASSIGN_OR_RETURN(const int64_t freed, Remove(bytes, [this](const TargetSetId& set) {
                            return !usage_.Leased(set);
                          }));
  evicted_ += before - usage_.entries();
  return freed;
}

absl::StatusOr<int64_t> RocksTargetStore::Reclaim(const FetchContext& context) {
  REFLUX_RETURN_IF_ERROR(context.Check());
  const int64_t before = DiskBytes();
  for (rocksdb::ColumnFamilyHandle* family : {handles_->values, handles_->index}) {
    REFLUX_RETURN_IF_ERROR(
        FromRocks(handles_->db->CompactRange({}, family, nullptr, nullptr), "cache compaction"));
  }
  return std::max<int64_t>(0, before - DiskBytes());
}

int64_t RocksTargetStore::DiskBytes() const {
  uint64_t all = 0;
  for (rocksdb::ColumnFamilyHandle* family : {handles_->values, handles_->index}) {
    uint64_t bytes = 0;
    handles_->db->GetIntProperty(family, rocksdb::DB::Properties::kTotalSstFilesSize, &bytes);
    all += bytes;
  }
  return static_cast<int64_t>(all);
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
