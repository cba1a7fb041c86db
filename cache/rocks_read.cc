#include "cache/rocks_read.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "cache/value_locations.h"
#include "common/base/status_macros.h"
#include "common/targets/located_target.h"

namespace reflux {
namespace {

// The block that RocksDB read, and the database that must outlive it.
struct PinnedValue {
  std::shared_ptr<RocksHandles> handles;
  rocksdb::PinnableSlice slice;  // goes first
};

EncodedTarget WithoutBytes(const IndexRecord& record) {
  return {.dtype = record.dtype,
          .codec = record.codec,
          .shape = record.shape,
          .checksum = record.checksum};
}

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
                                        const IndexRecord& record, const PlaceFn& place) {
  auto pinned = std::make_shared<PinnedValue>();
  pinned->handles = handles;
  LocatedOrRead found = LocateOrRead(*handles, record, pinned->slice);
  if (found.location.has_value()) {
    absl::StatusOr<EncodedTarget> target = ReadInPieces(
        WithoutBytes(record), record.size, place, handles->blocks,
        [&](char* out, uint64_t at, uint64_t size) { return found.location->Read(out, at, size); });
    if (target.ok()) return target;
    // RocksDB may know better, e.g. that the table is gone; and it says what is damaged.
    found.status =
        handles->db->Get({}, handles->values, EncodeInsertion(record.insertion), &pinned->slice);
  }
  // What RocksDB reads is checked by its own checksums too, though ours cover the bytes: a flipped
  // bit in the frame of a block would otherwise end the process by one of its assertions.
  REFLUX_RETURN_IF_ERROR(FromRocks(found.status, "cache value"));
  if (pinned->slice.size() != record.size) {
    return absl::DataLossError("cache: a value has another size than its index entry");
  }
  EncodedTarget target = WithoutBytes(record);
  target.bytes = FromSlice(pinned->slice);
  target.owner = pinned;
  REFLUX_RETURN_IF_ERROR(target.Verify());
  return target;
}

absl::StatusOr<LocatedTarget> LocateTarget(const RocksHandles& handles, const IndexRecord& record) {
  rocksdb::PinnableSlice unused;
  const LocatedOrRead found = LocateOrRead(handles, record, unused);
  if (!found.location.has_value()) return absl::NotFoundError("the value is in no table");
  std::error_code error;
  const auto path = std::filesystem::absolute(found.location->path, error);
  if (error) return absl::NotFoundError("the table has no absolute path");
  return LocatedTarget{WithoutBytes(record), {path.string(), found.location->offset, record.size}};
}

absl::StatusOr<StoredTarget> ReadTarget(const std::shared_ptr<RocksHandles>& handles,
                                        const TargetKey& key, const PlaceFn& place) {
  REFLUX_ASSIGN_OR_RETURN(IndexRecord record, ReadRecord(*handles, key));
  while (true) {
    absl::StatusOr<EncodedTarget> target = ReadValue(handles, record, place);
    if (target.ok()) return StoredTarget{record, *std::move(target)};
    if (!absl::IsNotFound(target.status())) return target.status();
    REFLUX_ASSIGN_OR_RETURN(const IndexRecord now, ReadRecord(*handles, key));
    if (now == record) return absl::DataLossError("cache: an index entry without its value");
    record = now;
  }
}

}  // namespace reflux
