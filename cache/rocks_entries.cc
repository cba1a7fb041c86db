#include "cache/rocks_entries.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cache/set_record.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

// What frees a table must be on the platter before the table goes: else a power failure would bring
// entries back without their values.
rocksdb::WriteOptions Synced() {
  rocksdb::WriteOptions options;
  options.sync = true;
  return options;
}

}  // namespace

absl::Status RocksEntries::Load() {
  REFLUX_RETURN_IF_ERROR(Count());
  return FreeTables({}, nullptr, {});
}

absl::Status RocksEntries::Count() {
  struct Sum {
    int64_t entries = 0, bytes = 0;
  };
  std::map<TargetSetId, Sum> sums;
  MutexLock lock(mutex_);
  REFLUX_RETURN_IF_ERROR(EachInOrder({}, [&](const Entry& entry) REFLUX_REQUIRES(mutex_) {
    Sum& sum = sums[entry.record.set];
    ++sum.entries;
    sum.bytes += static_cast<int64_t>(entry.record.size);
    chunks_.Add(entry.record.insertion, entry.record.set);
    next_insertion_ = entry.record.insertion + 1;
    return absl::OkStatus();
  }));
  for (const auto& [set, sum] : sums) {
    usage_.Reserve(sum.bytes, 0);
    usage_.Added(set, sum.bytes, sum.entries);
  }
  // Dead values keep their numbers.
  std::unique_ptr<rocksdb::Iterator> last(handles_->db->NewIterator({}, handles_->values));
  last->SeekToLast();
  if (last->Valid()) {
    REFLUX_ASSIGN_OR_RETURN(const uint64_t insertion, DecodeInsertion(FromSlice(last->key())));
    next_insertion_ = std::max(next_insertion_, insertion + 1);
  }
  for (const ValueTable& table : ListValueTables(*handles_)) {  // when the last cannot be read
    next_insertion_ = std::max(next_insertion_, table.last + 1);
  }
  return absl::OkStatus();
}

absl::Status RocksEntries::EachInOrder(const Range& range, const VisitEntry& visit) const {
  std::unique_ptr<rocksdb::Iterator> it(handles_->db->NewIterator({}, handles_->order));
  for (it->Seek(EncodeInsertion(range.first)); it->Valid(); it->Next()) {
    Entry entry;
    REFLUX_RETURN_IF_ERROR(
        DecodeOrderRecord(FromSlice(it->key()), FromSlice(it->value()), entry.key, entry.record));
    if (entry.record.insertion > range.last) break;
    REFLUX_RETURN_IF_ERROR(visit(entry));
  }
  return FromRocks(it->status(), "cache order");
}

absl::StatusOr<bool> RocksEntries::Insert(const TargetKey& key, const TargetSet& set,
                                          const TargetOrigin& origin, const EncodedTarget& target) {
  const TargetSetId id = MakeTargetSetId(set);
  rocksdb::WriteBatch batch(target.bytes.size() + 4096);
  MutexLock lock(mutex_);
  if (ReadRecord(*handles_, key).ok()) return false;
  const IndexRecord record{.insertion = next_insertion_++,
                           .size = target.bytes.size(),
                           .checksum = target.checksum,
                           .set = id,
                           .dtype = target.dtype,
                           .codec = target.codec,
                           .shape = target.shape,
                           .origin = origin};
  const std::string number = EncodeInsertion(record.insertion);
  batch.Put(handles_->values, number, ToSlice(target.bytes));
  batch.Put(handles_->index, ToSlice(key.digest.AsBytes()), EncodeIndexRecord(record));
  batch.Put(handles_->order, number, EncodeOrderRecord(key, record));
  if (!usage_.Knows(id)) {
    batch.Put(handles_->sets, ToSlice(id.digest.AsBytes()),
              EncodeSetRecord({.id = id, .set = set, .last_used = clock_.Now()}));
  }
  // Into the log, not to the platter: what is acknowledged survives this process, not the machine.
  REFLUX_RETURN_IF_ERROR(FromRocks(handles_->db->Write({}, &batch), "cache write"));
  usage_.Describe(id, set);
  usage_.Added(id, static_cast<int64_t>(record.size));
  chunks_.Add(record.insertion, id);
  return true;
}

void RocksEntries::CountOut(const IndexRecord& record) {
  usage_.Removed(record.set, static_cast<int64_t>(record.size));
  chunks_.Remove(record.insertion, record.set);
}

absl::Status RocksEntries::Erase(const TargetKey& key) {
  MutexLock lock(mutex_);
  const absl::StatusOr<IndexRecord> record = ReadRecord(*handles_, key);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  if (record.ok()) return Forget({key, *record});
  // Its `order` entry is an orphan from now on: eviction, or the next Load, sees to it.
  return FromRocks(handles_->db->Delete({}, handles_->index, ToSlice(key.digest.AsBytes())),
                   "cache drop");
}

absl::Status RocksEntries::Forget(const Entry& entry) {
  rocksdb::WriteBatch batch;
  batch.Delete(handles_->index, ToSlice(entry.key.digest.AsBytes()));
  batch.Delete(handles_->order, EncodeInsertion(entry.record.insertion));
  REFLUX_RETURN_IF_ERROR(FromRocks(handles_->db->Write({}, &batch), "cache drop"));
  CountOut(entry.record);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> RocksEntries::EraseOldest(int64_t bytes, const ChooseSet& chosen) {
  int64_t freed = 0;
  Range erased{std::numeric_limits<uint64_t>::max(), 0};  // none
  for (uint64_t from = 0; freed < bytes; from += InsertionChunks::kChunk) {
    MutexLock lock(mutex_);
    const std::optional<uint64_t> chunk = chunks_.Find(from, chosen);
    if (!chunk.has_value()) break;
    from = *chunk;
    REFLUX_ASSIGN_OR_RETURN(const int64_t of_chunk,
                            EraseOfChunk(from, bytes - freed, chosen, erased));
    freed += of_chunk;
  }
  if (erased.first > erased.last) return freed;
  // What is written again makes room only where it is the smaller part, and nothing beside it is
  // about to go as well.
  const auto worth_moving = [](const ValueTable& table, const Life& life) {
    return life.all_leased && 2 * life.bytes <= table.bytes;
  };
  REFLUX_RETURN_IF_ERROR(FreeTables(erased, worth_moving, {}));
  return freed;
}

absl::StatusOr<int64_t> RocksEntries::EraseOfChunk(uint64_t chunk, int64_t bytes,
                                                   const ChooseSet& chosen, Range& erased) {
  int64_t freed = 0;
  rocksdb::WriteBatch batch;
  std::vector<IndexRecord> gone;
  const Range range{chunk, chunk + InsertionChunks::kChunk - 1};
  REFLUX_RETURN_IF_ERROR(EachInOrder(range, [&](const Entry& entry) {
    if (freed >= bytes || !chosen(entry.record.set)) return absl::OkStatus();
    // An orphan's key may have been stored anew: that entry stays.
    const absl::StatusOr<IndexRecord> indexed = ReadRecord(*handles_, entry.key);
    if (!indexed.ok() || indexed->insertion == entry.record.insertion) {
      batch.Delete(handles_->index, ToSlice(entry.key.digest.AsBytes()));
    }
    batch.Delete(handles_->order, EncodeInsertion(entry.record.insertion));
    freed += static_cast<int64_t>(entry.record.size);
    gone.push_back(entry.record);
    return absl::OkStatus();
  }));
  if (gone.empty()) return 0;
  REFLUX_RETURN_IF_ERROR(FromRocks(handles_->db->Write(Synced(), &batch), "cache eviction"));
  for (const IndexRecord& record : gone) CountOut(record);
  erased.first = std::min(erased.first, gone.front().insertion);
  erased.last = std::max(erased.last, gone.back().insertion);
  return freed;
}

absl::Status RocksEntries::Visit(
    const std::function<absl::Status(const StoredEntry&)>& visit) const {
  std::unique_ptr<rocksdb::Iterator> it(handles_->db->NewIterator({}, handles_->index));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    REFLUX_ASSIGN_OR_RETURN(const Digest digest, Digest::FromBytes(FromSlice(it->key())));
    StoredEntry entry{.key = {digest}};
    const absl::StatusOr<IndexRecord> record = DecodeIndexRecord(FromSlice(it->value()));
    if (record.ok()) {  // a damaged one is visited too: Get says what it is
      entry.set = record->set;
      entry.origin = record->origin;
      entry.bytes = static_cast<int64_t>(record->size);
    }
    REFLUX_RETURN_IF_ERROR(visit(entry));
  }
  return FromRocks(it->status(), "cache index");
}

}  // namespace reflux
