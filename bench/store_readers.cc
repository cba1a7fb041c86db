#include "bench/store_readers.h"

#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cache/rocks_read.h"
#include "cache/rocks_reader.h"
#include "cache/rocks_target_store.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

// `Store` has Get(TargetKey).
template <typename Store>
class GettingReader : public TargetReader {
 public:
  GettingReader(std::unique_ptr<Store> store, int count)
      : store_(std::move(store)), keys_(BenchKeys(count)) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    int64_t position = 0;
    for (const int number : order) {
      REFLUX_ASSIGN_OR_RETURN(const EncodedTarget target, store_->Get(keys_[number]));
      std::memcpy(rows.row(position++), target.bytes.data(), target.bytes.size());
    }
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<Store> store_;
  const std::vector<TargetKey> keys_;
};

class UncheckedReader : public TargetReader {
 public:
  UncheckedReader(std::shared_ptr<RocksHandles> handles, int count)
      : handles_(std::move(handles)), keys_(BenchKeys(count)) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    rocksdb::ReadOptions options;
    options.verify_checksums = false;
    int64_t position = 0;
    for (const int number : order) {
      REFLUX_ASSIGN_OR_RETURN(const IndexRecord record, ReadRecord(*handles_, keys_[number]));
      rocksdb::PinnableSlice value;
      REFLUX_RETURN_IF_ERROR(FromRocks(
          handles_->db->Get(options, handles_->values, EncodeInsertion(record.insertion), &value),
          "value"));
      std::memcpy(rows.row(position++), value.data(), value.size());
    }
    return absl::OkStatus();
  }

 private:
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

absl::Status LinkStore(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::create_directories(to, error);
  for (fs::directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    const fs::path target = fs::path(to) / it->path().filename();
    if (it->path().extension() == ".sst") {
      fs::create_hard_link(it->path(), target, error);
    } else {
      fs::copy(it->path(), target, fs::copy_options::recursive, error);
    }
    if (error) break;
  }
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("copying ", from, ": ", error.message()));
}

absl::StatusOr<std::unique_ptr<TargetReader>> MakeStoreReader(const StoredValues& values,
                                                              const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(
      std::unique_ptr<RocksTargetStore> store,
      RocksTargetStore::Open({.directory = directory, .min_free_disk_bytes = 0}));
  return std::make_unique<GettingReader<RocksTargetStore>>(std::move(store), values.count);
}

absl::StatusOr<std::unique_ptr<TargetReader>> MakeUncheckedReader(const StoredValues& values,
                                                                  const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<RocksHandles> handles, OpenRocks(directory));
  return std::make_unique<UncheckedReader>(std::move(handles), values.count);
}

absl::StatusOr<std::unique_ptr<TargetReader>> MakeDirectReader(const StoredValues& values,
                                                               const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(std::unique_ptr<RocksReader> reader, RocksReader::Open(directory));
  return std::make_unique<GettingReader<RocksReader>>(std::move(reader), values.count);
}

}  // namespace reflux
