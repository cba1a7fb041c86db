// The space of a RocksTargetStore's entries: which tables go, and what is written again before.
#include <spdlog/spdlog.h>

#include <limits>
#include <string>

#include "cache/rocks_entries.h"
#include "common/base/status_macros.h"

namespace reflux {

absl::Status RocksEntries::FreeTables(const Range& range, const ChooseTable& may_empty,
                                      const FetchContext& context) {
  for (const ValueTable& table : ListValueTables(*handles_)) {
    REFLUX_RETURN_IF_ERROR(context.Check());
    REFLUX_ASSIGN_OR_RETURN(bool dead, IsDead(table));
    const bool in_range = table.last >= range.first && table.first <= range.last;
    if (!dead && in_range && may_empty != nullptr) {
      REFLUX_ASSIGN_OR_RETURN(const Life life, LifeOf(table));
      dead = may_empty(table, life);
      if (dead) REFLUX_RETURN_IF_ERROR(Empty(table));
    }
    if (dead) REFLUX_RETURN_IF_ERROR(DeleteValueTable(*handles_, table));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RocksEntries::IsDead(const ValueTable& table) const {
  std::unique_ptr<rocksdb::Iterator> it(handles_->db->NewIterator({}, handles_->order));
  it->Seek(EncodeInsertion(table.first));
  REFLUX_RETURN_IF_ERROR(FromRocks(it->status(), "cache order"));
  return !it->Valid() || FromSlice(it->key()) > absl::string_view(EncodeInsertion(table.last));
}

absl::StatusOr<RocksEntries::Life> RocksEntries::LifeOf(const ValueTable& table) const {
  Life life;
  REFLUX_RETURN_IF_ERROR(EachInOrder({table.first, table.last}, [&](const Entry& entry) {
    life.bytes += static_cast<int64_t>(entry.record.size);
    life.all_leased = life.all_leased && usage_.Leased(entry.record.set);
    return absl::OkStatus();
  }));
  return life;
}

absl::Status RocksEntries::Empty(const ValueTable& table) {
  REFLUX_RETURN_IF_ERROR(EachInOrder({table.first, table.last}, [this](const Entry& entry) {
    MutexLock lock(mutex_);
    return Relocate(entry);
  }));
  return FromRocks(handles_->db->SyncWAL(), "cache log");
}

absl::Status RocksEntries::Relocate(const Entry& entry) {
  std::string unused;
  const rocksdb::Status listed =
      handles_->db->Get({}, handles_->order, EncodeInsertion(entry.record.insertion), &unused);
  if (listed.IsNotFound()) return absl::OkStatus();  // erased since the iteration began
  REFLUX_RETURN_IF_ERROR(FromRocks(listed, "cache order"));
  const absl::StatusOr<IndexRecord> indexed = ReadRecord(*handles_, entry.key);
  if (indexed.ok() && indexed->insertion == entry.record.insertion) {
    return Move({entry.key, *indexed});
  }
  // An orphan: its index record was damaged and dropped.
  REFLUX_RETURN_IF_ERROR(
      FromRocks(handles_->db->Delete({}, handles_->order, EncodeInsertion(entry.record.insertion)),
                "cache order"));
  CountOut(entry.record);
  return absl::OkStatus();
}

absl::Status RocksEntries::Move(const Entry& entry) {
  const absl::StatusOr<EncodedTarget> target = ReadValue(handles_, entry.record);
  if (absl::IsDataLoss(target.status()) || absl::IsNotFound(target.status())) {
    spdlog::warn("cache: entry {} is dropped: {}", entry.key.digest.Short(),
                 target.status().ToString());
    return Forget(entry);
  }
  REFLUX_RETURN_IF_ERROR(target.status());
  IndexRecord moved = entry.record;
  moved.insertion = next_insertion_++;
  const std::string number = EncodeInsertion(moved.insertion);
  rocksdb::WriteBatch batch(target->bytes.size() + 4096);
  batch.Put(handles_->values, number, ToSlice(target->bytes));
  batch.Put(handles_->index, ToSlice(entry.key.digest.AsBytes()), EncodeIndexRecord(moved));
  batch.Put(handles_->order, number, EncodeOrderRecord(entry.key, moved));
  batch.Delete(handles_->order, EncodeInsertion(entry.record.insertion));
  REFLUX_RETURN_IF_ERROR(FromRocks(handles_->db->Write({}, &batch), "cache move"));
  chunks_.Remove(entry.record.insertion, moved.set);
  chunks_.Add(moved.insertion, moved.set);
  return absl::OkStatus();
}

absl::Status RocksEntries::Compact(double max_live_share, const FetchContext& context) {
  REFLUX_RETURN_IF_ERROR(FlushValues(*handles_));
  const auto worth_moving = [max_live_share](const ValueTable& table, const Life& life) {
    return static_cast<double>(life.bytes) <= max_live_share * static_cast<double>(table.bytes);
  };
  return FreeTables({}, worth_moving, context);
}

}  // namespace reflux
