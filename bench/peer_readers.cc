#include "bench/peer_readers.h"

#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

// ---- .npy

std::string NpyPath(const std::string& folder, int number) {
  return absl::StrCat(folder, "/npy/", number, ".npy");
}

// Version 1.0: magic, u16 length, a Python dictionary padded so that the data begin at 128.
std::string NpyHeader(const StoredValues& values) {
  std::string text = absl::StrCat("{'descr': '<f2', 'fortran_order': False, 'shape': (",
                                  absl::StrJoin(values.shape, ", "), "), }");
  text.resize(117, ' ');
  return absl::StrCat(std::string("\x93NUMPY\x01\x00\x76\x00", 10), text, "\n");
}

absl::Status WriteNpyFile(const StoredValues& values, const std::string& path, int number) {
  const EncodedTarget value = BenchValue(values, number);
  const std::string header = NpyHeader(values);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  const bool written =
      fd >= 0 && write(fd, header.data(), header.size()) == ssize_t(header.size()) &&
      write(fd, value.bytes.data(), value.bytes.size()) == ssize_t(value.bytes.size());
  if (fd >= 0) close(fd);
  return written ? absl::OkStatus() : absl::ErrnoToStatus(errno, path);
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

// ---- LMDB

absl::Status FromLmdb(int code) {
  return code == 0 ? absl::OkStatus() : absl::InternalError(mdb_strerror(code));
}

class LmdbReader : public TargetReader {
 public:
  ~LmdbReader() override { mdb_env_close(env_); }

  absl::Status Create(const StoredValues& values, const std::string& directory) {
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_env_create(&env_)));
    const auto size = static_cast<size_t>((values.value_bytes() + (1 << 20)) * values.count);
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_env_set_mapsize(env_, 2 * size)));
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_env_open(env_, directory.c_str(), MDB_NOSYNC, 0644)));
    // A transaction a value: what it writes is held in memory until its end.
    for (int i = 0; i < values.count; ++i) REFLUX_RETURN_IF_ERROR(Put(i, BenchValue(values, i)));
    return FromLmdb(mdb_env_sync(env_, /*force=*/1));
  }

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
  absl::Status Put(int number, const EncodedTarget& value) {
    MDB_txn* txn = nullptr;
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_txn_begin(env_, nullptr, 0, &txn)));
    std::string name = absl::StrCat(number);
    MDB_val key{name.size(), name.data()};
    MDB_val data{value.bytes.size(), const_cast<char*>(value.bytes.data())};
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_dbi_open(txn, nullptr, 0, &table_)));
    REFLUX_RETURN_IF_ERROR(FromLmdb(mdb_put(txn, table_, &key, &data, 0)));
    return FromLmdb(mdb_txn_commit(txn));
  }

  MDB_env* env_ = nullptr;
  MDB_dbi table_ = 0;
};

}  // namespace

absl::Status WriteNpy(const StoredValues& values, const std::string& folder) {
  fs::create_directories(folder + "/npy");
  for (int i = 0; i < values.count; ++i) {
    REFLUX_RETURN_IF_ERROR(WriteNpyFile(values, NpyPath(folder, i), i));
  }
  return absl::OkStatus();
}

std::unique_ptr<TargetReader> MakeNpyReader(const std::string& folder) {
  return std::make_unique<NpyReader>(folder);
}

absl::StatusOr<std::unique_ptr<TargetReader>> MakeLmdbReader(const StoredValues& values,
                                                             const std::string& folder) {
  fs::create_directories(folder + "/lmdb");
  auto reader = std::make_unique<LmdbReader>();
  REFLUX_RETURN_IF_ERROR(reader->Create(values, folder + "/lmdb"));
  return reader;
}

}  // namespace reflux
