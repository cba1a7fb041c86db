#include "bench/store_readers.h"

#include <cstring>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cache/rocks_read.h"
#include "cache/rocks_target_store.h"
#include "cache/value_locations.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

using ReadFn = std::function<absl::StatusOr<EncodedTarget>(const TargetKey&, const PlaceFn&)>;

class CheckedReader : public TargetReader {
 public:
  CheckedReader(ReadFn read, int count) : read_(std::move(read)), keys_(BenchKeys(count)) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    int64_t position = 0;
    for (const int number : order) {
      char* row = rows.row(position++);
      const auto place = [&](const EncodedTarget&, size_t size) {
        return static_cast<int64_t>(size) == rows.row_bytes() ? row : nullptr;
      };
      REFLUX_ASSIGN_OR_RETURN(const EncodedTarget target, read_(keys_[number], place));
      if (target.bytes.data() == row) continue;
      std::memcpy(row, target.bytes.data(), target.bytes.size());
    }
    return absl::OkStatus();
  }

 private:
  const ReadFn read_;
  const std::vector<TargetKey> keys_;
};

class UncheckedReader : public TargetReader {
 public:
  UncheckedReader(std::shared_ptr<RocksHandles> handles, int count)
      : handles_(std::move(handles)), keys_(BenchKeys(count)) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    int64_t position = 0;
    for (const int number : order) {
      REFLUX_RETURN_IF_ERROR(ReadOne(keys_[number], rows.row(position++)));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ReadOne(const TargetKey& key, char* row) {
    REFLUX_ASSIGN_OR_RETURN(const IndexRecord record, ReadRecord(*handles_, key));
    rocksdb::PinnableSlice value;
    const LocatedOrRead found = LocateOrRead(*handles_, record, value);
    if (found.location.has_value()) return found.location->Read(row, 0, record.size);
    REFLUX_RETURN_IF_ERROR(FromRocks(found.status, "value"));
    std::memcpy(row, value.data(), value.size());
    return absl::OkStatus();
  }

  const std::shared_ptr<RocksHandles> handles_;
  const std::vector<TargetKey> keys_;
};

absl::Status FillStore(const StoredValues& values, const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(
      const std::unique_ptr<RocksTargetStore> store,
      RocksTargetStore::Open({.directory = directory, .min_free_disk_bytes = 0}));
  const std::vector<TargetKey> keys = BenchKeys(values.count);
  for (int i = 0; i < values.count; ++i) {
    const SampleRef sample = BenchRequest({i}).samples[0];
    REFLUX_RETURN_IF_ERROR(
        store->Put(keys[i], BenchSet(), {sample.digest, sample.view, {}}, BenchValue(values, i)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteStore(const StoredValues& values, const std::string& directory) {
  REFLUX_RETURN_IF_ERROR(FillStore(values, directory));
  REFLUX_ASSIGN_OR_RETURN(const std::shared_ptr<RocksHandles> handles, OpenRocks(directory));
  return FromRocks(handles->db->Flush(rocksdb::FlushOptions(), {handles->values, handles->index}),
                   "flush");
}

absl::StatusOr<std::unique_ptr<TargetReader>> MakeStoreReader(const StoredValues& values,
                                                              const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(
      std::shared_ptr<RocksTargetStore> store,
      RocksTargetStore::Open({.directory = directory, .min_free_disk_bytes = 0}));
  return std::make_unique<CheckedReader>(
      [store](const TargetKey& key, const PlaceFn& place) {
        return store->ReadTo(place, key, Use::kTraining);
      },
      values.count);
}

absl::StatusOr<std::unique_ptr<TargetReader>> MakeUncheckedReader(const StoredValues& values,
                                                                  const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<RocksHandles> handles, OpenRocks(directory));
  return std::make_unique<UncheckedReader>(std::move(handles), values.count);
}

}  // namespace reflux
