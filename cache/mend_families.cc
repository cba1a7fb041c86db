#include "cache/mend_families.h"

#include <spdlog/spdlog.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cache/index_record.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr size_t kBatchBytes = size_t{1} << 20;

struct Entry {
  TargetKey key;
  IndexRecord record;
};
using Visit = std::function<absl::Status(const Entry&)>;

// Damaged index records are left out: they name nothing.
absl::Status EachOfIndex(const RocksHandles& handles, const Visit& visit) {
  std::unique_ptr<rocksdb::Iterator> it(handles.db->NewIterator({}, handles.index));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const absl::StatusOr<Digest> digest = Digest::FromBytes(FromSlice(it->key()));
    const absl::StatusOr<IndexRecord> record = DecodeIndexRecord(FromSlice(it->value()));
    if (digest.ok() && record.ok()) REFLUX_RETURN_IF_ERROR(visit({{*digest}, *record}));
  }
  return FromRocks(it->status(), "cache index");
}

absl::Status EachOfOrder(const RocksHandles& handles, const Visit& visit) {
  std::unique_ptr<rocksdb::Iterator> it(handles.db->NewIterator({}, handles.order));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    Entry entry;
    REFLUX_RETURN_IF_ERROR(
        DecodeOrderRecord(FromSlice(it->key()), FromSlice(it->value()), entry.key, entry.record));
    REFLUX_RETURN_IF_ERROR(visit(entry));
  }
  return FromRocks(it->status(), "cache order");
}

using Each = absl::Status (*)(const RocksHandles&, const Visit&);

absl::StatusOr<int64_t> Count(const RocksHandles& handles, Each each) {
  int64_t count = 0;
  REFLUX_RETURN_IF_ERROR(each(handles, [&count](const Entry&) {
    ++count;
    return absl::OkStatus();
  }));
  return count;
}

// Empties `family` and puts into it, for each entry of the other family, what `put` puts.
absl::Status Rebuild(RocksHandles& handles, rocksdb::ColumnFamilyHandle*& family, Each each,
                     const std::function<void(rocksdb::WriteBatch&, const Entry&)>& put) {
  spdlog::warn("cache: column family {} is missing or damaged and is rebuilt", family->GetName());
  REFLUX_RETURN_IF_ERROR(handles.Recreate(family));
  rocksdb::WriteBatch batch;
  const auto write = [&] {
    const absl::Status status = FromRocks(handles.db->Write({}, &batch), "cache rebuild");
    batch.Clear();
    return status;
  };
  REFLUX_RETURN_IF_ERROR(each(handles, [&](const Entry& entry) {
    put(batch, entry);
    return batch.GetDataSize() > kBatchBytes ? write() : absl::OkStatus();
  }));
  return write();
}

absl::Status RebuildIndex(RocksHandles& handles) {
  return Rebuild(handles, handles.index, EachOfOrder,
                 [&handles](rocksdb::WriteBatch& batch, const Entry& entry) {
                   batch.Put(handles.index, ToSlice(entry.key.digest.AsBytes()),
                             EncodeIndexRecord(entry.record));
                 });
}

absl::Status RebuildOrder(RocksHandles& handles) {
  return Rebuild(handles, handles.order, EachOfIndex,
                 [&handles](rocksdb::WriteBatch& batch, const Entry& entry) {
                   batch.Put(handles.order, EncodeInsertion(entry.record.insertion),
                             EncodeOrderRecord(entry.key, entry.record));
                 });
}

}  // namespace

absl::Status MendFamilies(RocksHandles& handles) {
  absl::StatusOr<int64_t> indexed = Count(handles, EachOfIndex);
  absl::StatusOr<int64_t> ordered = Count(handles, EachOfOrder);
  for (const absl::Status& status : {indexed.status(), ordered.status()}) {
    if (!status.ok() && !absl::IsDataLoss(status)) return status;  // it cannot be read at all
  }
  if (!indexed.ok() && !ordered.ok()) {
    return absl::DataLossError(absl::StrCat(
        "the cache's index and its order are both damaged: ", indexed.status().message(),
        "; remove the directory to begin an empty cache"));
  }
  if (!indexed.ok() || (ordered.ok() && *indexed < *ordered)) {
    REFLUX_RETURN_IF_ERROR(RebuildIndex(handles));
    indexed = Count(handles, EachOfIndex);
    REFLUX_RETURN_IF_ERROR(indexed.status());
  }
  if (ordered.ok() && *indexed == *ordered) return absl::OkStatus();
  return RebuildOrder(handles);
}

}  // namespace reflux
