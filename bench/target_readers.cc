#include "bench/target_readers.h"

#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/cache_process.h"
#include "bench/target_grpc_readers.h"
#include "cache/rocks_read.h"
#include "cache/rocks_reader.h"
#include "cache/rocks_target_store.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

TargetKey KeyOf(int number) {
  const TargetRequest request = BenchRequest({number});
  return MakeTargetKey(request.teacher, request.samples[0], request.specs[0]);
}

std::vector<TargetKey> Keys(int values) {
  std::vector<TargetKey> keys;
  for (int i = 0; i < values; ++i) keys.push_back(KeyOf(i));
  return keys;
}

absl::Status CopyTo(const absl::StatusOr<EncodedTarget>& target, char* row) {
  if (!target.ok()) return target.status();
  std::memcpy(row, target->bytes.data(), target->bytes.size());
  return absl::OkStatus();
}

// ---- .npy

std::string NpyPath(const std::string& folder, int number) {
  return absl::StrCat(folder, "/npy/", number, ".npy");
}

// Version 1.0: magic, u16 length, a Python dictionary padded so that the data begin at 128.
std::string NpyHeader(const TargetBenchOptions& options) {
  std::string text =
      absl::StrCat("{'descr': '<f2', 'fortran_order': False, 'shape': (", options.channels, ", ",
                   TargetBenchOptions::kHeight, ", ", TargetBenchOptions::kWidth, "), }");
  text.resize(117, ' ');
  return absl::StrCat(std::string("\x93NUMPY\x01\x00\x76\x00", 10), text, "\n");
}

class NpyReader : public TargetReader {
 public:
  explicit NpyReader(const std::string& folder) : folder_(folder) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    int64_t position = 0;
    for (const int number : order) REFLUX_RETURN_IF_ERROR(ReadOne(number, rows, position++));
    return absl::OkStatus();
  }

 private:
  absl::Status ReadOne(int number, BatchRows& rows, int64_t position) {
    const int fd = open(NpyPath(folder_, number).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return absl::ErrnoToStatus(errno, "npy");
    char header[128];
    bool complete = read(fd, header, sizeof(header)) == sizeof(header);
    char* row = rows.row(position);
    for (int64_t left = rows.row_bytes(); complete && left > 0;) {
      const ssize_t got = read(fd, row, static_cast<size_t>(left));
      complete = got > 0;
      row += got;
      left -= got;
    }
    close(fd);
    return complete ? absl::OkStatus() : absl::DataLossError("npy: a short file");
  }
  const std::string folder_;
};

absl::Status WriteNpy(const TargetBenchOptions& options, const std::string& folder) {
  fs::create_directories(folder + "/npy");
  for (int i = 0; i < options.values; ++i) {
    const EncodedTarget value = BenchValue(options, i);
    const int fd = open(NpyPath(folder, i).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    const std::string header = NpyHeader(options);
    const bool written =
        fd >= 0 && write(fd, header.data(), header.size()) == ssize_t(header.size()) &&
        write(fd, value.bytes.data(), value.bytes.size()) == ssize_t(value.bytes.size());
    if (fd >= 0) close(fd);
    if (!written) return absl::ErrnoToStatus(errno, "npy");
  }
  return absl::OkStatus();
}

// ---- LMDB

absl::Status FromLmdb(int code) {
  return code == 0 ? absl::OkStatus() : absl::InternalError(mdb_strerror(code));
}

class LmdbReader : public TargetReader {
 public:
  static absl::StatusOr<std::unique_ptr<LmdbReader>> Create(const TargetBenchOptions& options,
                                                            const std::string& folder) {
    fs::create_directories(folder + "/lmdb");
    auto reader = std::unique_ptr<LmdbReader>(new LmdbReader);
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_env_create(&reader->env_)));
    const auto size = static_cast<size_t>((options.value_bytes() + (1 << 20)) * options.values);
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_env_set_mapsize(reader->env_, 2 * size)));
    REFLUX_RETURN_IF_ERROR(
        FromLmdb(mdb_env_open(reader->env_, (folder + "/lmdb").c_str(), MDB_NOSYNC, 0644)));
    MDB_txn* txn = nullptr;
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_txn_begin(reader->env_, nullptr, 0, &txn)));
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_dbi_open(txn, nullptr, 0, &reader->table_)));
    for (int i = 0; i < options.values; ++i) {
      const EncodedTarget value = BenchValue(options, i);
      std::string name = absl::StrCat(i);
      MDB_val key{name.size(), name.data()};
      MDB_val data{value.bytes.size(), const_cast<char*>(value.bytes.data())};
      REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_put(txn, reader->table_, &key, &data, 0)));
    }
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_txn_commit(txn)));
    return reader;
  }
  ~LmdbReader() override { mdb_env_close(env_); }

  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    MDB_txn* txn = nullptr;
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn)));
    absl::Status status;
    int64_t position = 0;
    for (const int number : order) {
      std::string name = absl::StrCat(number);
      MDB_val key{name.size(), name.data()}, data{};
      status = FromLmdb(mdb_get(txn, table_, &key, &data));
      if (!status.ok()) break;
      std::memcpy(rows.row(position++), data.mv_data, data.mv_size);
    }
    mdb_txn_abort(txn);
    return status;
  }

 private:
  LmdbReader() = default;
  MDB_env* env_ = nullptr;
  MDB_dbi table_ = 0;
};

// ---- our store

class StoreReader : public TargetReader {
 public:
  StoreReader(std::unique_ptr<RocksTargetStore> store, int values)
      : store_(std::move(store)), keys_(Keys(values)) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    int64_t position = 0;
    for (const int number : order) {
      REFLUX_RETURN_IF_ERROR(
          CopyTo(store_->Get(keys_[static_cast<size_t>(number)]), rows.row(position++)));
    }
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<RocksTargetStore> store_;
  const std::vector<TargetKey> keys_;
};

class UncheckedReader : public TargetReader {
 public:
  UncheckedReader(std::shared_ptr<RocksHandles> handles, int values)
      : handles_(std::move(handles)), keys_(Keys(values)) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    rocksdb::ReadOptions options;
    options.verify_checksums = false;
    int64_t position = 0;
    for (const int number : order) {
      REFLUX_ASSIGN_OR_RETURN(const IndexRecord record,
                              ReadRecord(*handles_, keys_[static_cast<size_t>(number)]));
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

class DirectReader : public TargetReader {
 public:
  DirectReader(std::unique_ptr<RocksReader> reader, int values)
      : reader_(std::move(reader)), keys_(Keys(values)) {}
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    int64_t position = 0;
    for (const int number : order) {
      REFLUX_RETURN_IF_ERROR(
          CopyTo(reader_->Get(keys_[static_cast<size_t>(number)]), rows.row(position++)));
    }
    return absl::OkStatus();
  }

 private:
  const std::unique_ptr<RocksReader> reader_;
  const std::vector<TargetKey> keys_;
};

// A store with the values in its tables (not in the log), as one that was filled long ago.
absl::Status FillStore(const TargetBenchOptions& options, const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(
      const std::unique_ptr<RocksTargetStore> store,
      RocksTargetStore::Open({.directory = directory, .min_free_disk_bytes = 0}));
  for (int i = 0; i < options.values; ++i) {
    const TargetRequest request = BenchRequest({i});
    REFLUX_RETURN_IF_ERROR(store->Put(KeyOf(i), BenchSet(),
                                      {request.samples[0].digest, request.samples[0].view, {}},
                                      BenchValue(options, i)));
  }
  return absl::OkStatus();
}

absl::Status FlushStore(const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(const std::shared_ptr<RocksHandles> handles, OpenRocks(directory));
  return FromRocks(handles->db->Flush(rocksdb::FlushOptions(), {handles->values, handles->index}),
                   "flush");
}

}  // namespace

absl::StatusOr<std::vector<NamedReader>> OpenTargetReaders(const TargetBenchOptions& options,
                                                           const std::string& folder) {
  const std::string served = folder + "/served", own = folder + "/own";
  const std::string unchecked = folder + "/unchecked";
  REFLUX_RETURN_IF_ERROR(WriteNpy(options, folder));
  REFLUX_RETURN_IF_ERROR(FillStore(options, served));
  REFLUX_RETURN_IF_ERROR(FlushStore(served));
  fs::copy(served, own, fs::copy_options::recursive);
  fs::copy(served, unchecked, fs::copy_options::recursive);

  std::vector<NamedReader> readers;
  readers.push_back({"npy", std::make_unique<NpyReader>(folder)});
  REFLUX_ASSIGN_OR_RETURN(auto lmdb, LmdbReader::Create(options, folder));
  readers.push_back({"lmdb", std::move(lmdb)});
  REFLUX_ASSIGN_OR_RETURN(auto store,
                          RocksTargetStore::Open({.directory = own, .min_free_disk_bytes = 0}));
  readers.push_back({"store", std::make_unique<StoreReader>(std::move(store), options.values)});
  REFLUX_ASSIGN_OR_RETURN(auto handles, OpenRocks(unchecked));
  readers.push_back(
      {"store_unchecked", std::make_unique<UncheckedReader>(std::move(handles), options.values)});
  REFLUX_ASSIGN_OR_RETURN(auto cache, StartCacheProcess(options.cache_program, served));
  REFLUX_ASSIGN_OR_RETURN(auto direct, RocksReader::Open(served));
  readers.push_back({"direct", std::make_unique<DirectReader>(std::move(direct), options.values)});
  readers.push_back({"grpc", MakeGrpcReader(options, std::move(cache))});
  const std::string endpoint = folder + "/bare.endpoint";
  REFLUX_ASSIGN_OR_RETURN(
      auto bare,
      ChildProcess::Start({fs::read_symlink("/proc/self/exe").string(), "--serve-bare",
                           absl::StrCat(options.value_bytes()), "--endpoint-file", endpoint},
                          endpoint));
  readers.push_back({"grpc_bare", MakeBareReader(options, std::move(bare))});
  return readers;
}

}  // namespace reflux
