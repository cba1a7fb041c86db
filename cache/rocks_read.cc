#include "cache/rocks_read.h"

#include <utility>

#include "common/base/status_macros.h"

namespace reflux {
namespace {

// The block that RocksDB read, and the database that must outlive it.
struct PinnedValue {
  std::shared_ptr<RocksHandles> handles;
  rocksdb::PinnableSlice slice;  // goes first
};

}  // namespace

absl::StatusOr<IndexRecord> ReadRecord(const RocksHandles& handles, const TargetKey& key) {
  rocksdb::PinnableSlice bytes;
  const rocksdb::Status status =
      handles.db->Get({}, handles.index, ToSlice(key.digest.AsBytes()), &bytes);
  if (status.IsNotFound()) return absl::NotFoundError("target not stored");
  REFLUX_RETURN_IF_ERROR(FromRocks(status, "cache index"));
  return DecodeIndexRecord(FromSlice(bytes));
}

absl::StatusOr<EncodedTarget> ReadValue(const std::shared_ptr<RocksHandles>& handles,
                                        const IndexRecord& record) {
  auto pinned = std::make_shared<PinnedValue>();
  pinned->handles = handles;
  // With RocksDB's own checksums, though ours cover the bytes: a flipped bit in the frame of a block
  // would otherwise end the process by one of its assertions.
  REFLUX_RETURN_IF_ERROR(FromRocks(
      handles->db->Get({}, handles->values, EncodeInsertion(record.insertion), &pinned->slice),
      "cache value"));
  if (pinned->slice.size() != record.size) {
    return absl::DataLossError("cache: a value has another size than its index entry");
  }
  EncodedTarget target{.bytes = FromSlice(pinned->slice),
                       .owner = pinned,
                       .dtype = record.dtype,
                       .codec = record.codec,
                       .shape = record.shape,
                       .checksum = record.checksum};
  REFLUX_RETURN_IF_ERROR(target.Verify());
  return target;
}

absl::StatusOr<StoredTarget> ReadTarget(const std::shared_ptr<RocksHandles>& handles,
                                        const TargetKey& key) {
  REFLUX_ASSIGN_OR_RETURN(IndexRecord record, ReadRecord(*handles, key));
  while (true) {
    absl::StatusOr<EncodedTarget> target = ReadValue(handles, record);
    if (target.ok()) return StoredTarget{record, *std::move(target)};
    if (!absl::IsNotFound(target.status())) return target.status();
    REFLUX_ASSIGN_OR_RETURN(const IndexRecord now, ReadRecord(*handles, key));
    if (now == record) return absl::DataLossError("cache: an index entry without its value");
    record = now;
  }
}

}  // namespace reflux
