#include "tests/contract/rewrite_stored_value.h"

#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cache/index_record.h"
#include "cache/rocks_handles.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

struct IndexEntry {
  std::string key;
  IndexRecord record;
};

absl::StatusOr<IndexEntry> FindEntry(RocksHandles& handles, int64_t which) {
  std::map<uint64_t, IndexEntry> by_insertion;
  std::unique_ptr<rocksdb::Iterator> it(handles.db->NewIterator({}, handles.index));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    REFLUX_ASSIGN_OR_RETURN(IndexRecord record, DecodeIndexRecord(FromSlice(it->value())));
    by_insertion[record.insertion] = {it->key().ToString(), record};
  }
  REFLUX_RETURN_IF_ERROR(FromRocks(it->status(), "index"));
  if (which < 0 || which >= static_cast<int64_t>(by_insertion.size())) {
    return absl::OutOfRangeError(
        absl::StrCat("no entry ", which, " of ", by_insertion.size(), " stored"));
  }
  return std::next(by_insertion.begin(), which)->second;
}

}  // namespace

absl::Status RewriteStoredValue(const std::string& directory, int64_t which,
                                const std::function<void(std::string&)>& change,
                                IndexChecksum checksum) {
  REFLUX_ASSIGN_OR_RETURN(const std::shared_ptr<RocksHandles> handles, OpenRocks(directory));
  REFLUX_ASSIGN_OR_RETURN(IndexEntry entry, FindEntry(*handles, which));
  const std::string value_key = EncodeInsertion(entry.record.insertion);
  std::string value;
  REFLUX_RETURN_IF_ERROR(
      FromRocks(handles->db->Get({}, handles->values, value_key, &value), "value"));
  change(value);
  if (value.size() != entry.record.size) {
    return absl::InvalidArgumentError("the change must keep the value's size");
  }
  if (checksum == IndexChecksum::kRewritten) entry.record.checksum = TargetChecksum(value);
  rocksdb::WriteBatch batch;
  batch.Put(handles->values, value_key, value);
  batch.Put(handles->index, entry.key, EncodeIndexRecord(entry.record));
  return FromRocks(handles->db->Write({}, &batch), "rewrite");
}

}  // namespace reflux
