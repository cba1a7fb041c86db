#include "cache/rocks_handles.h"

#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cache/repair_tables.h"
#include "cache/rocks_log.h"
#include "cache/value_locations.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Half of the descriptors that the process may open; tables beyond that are opened again on use.
int MaxOpenTables() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 256;
  return static_cast<int>(std::clamp<rlim_t>(limit.rlim_cur / 2, 64, 500000));
}

rocksdb::DBOptions DatabaseOptions(int64_t table_bytes) {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = MaxOpenTables();
  // A value is read from end to end, in pieces. Told that reads are random, the kernel would read
  // nothing ahead, and what is not in the page cache would come at a third of the speed
  // (docs/decisions/0005-values-uncompressed.md).
  options.advise_random_on_open = false;
  // `index` fills its memtable long after `values`: without this limit the log would grow with it.
  options.max_total_wal_size = 4 * static_cast<uint64_t>(table_bytes);
  options.max_background_jobs = 2;
  options.bytes_per_sync = options.wal_bytes_per_sync = 8 * kMiB;
  options.info_log = MakeRocksLog();
  // A truncated table costs its own targets, not the cache: it is found when it is read.
  options.skip_checking_sst_file_sizes_on_db_open = true;
  return options;
}

// Large values under ascending keys, read once an epoch: no compression (maps do not compress), no
// block cache (the page cache does it; a read value then owns its block, without a copy).
rocksdb::ColumnFamilyOptions ValuesOptions(int64_t table_bytes) {
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  table.checksum = rocksdb::kXXH3;
  rocksdb::ColumnFamilyOptions options;
  options.compression = rocksdb::kNoCompression;
  options.write_buffer_size = static_cast<size_t>(table_bytes);
  // Tables of `values` never overlap, so they only change level, which moves no byte: at once out
  // of level 0, whose tables cannot be deleted as files, into level 1, where they stay.
  options.level0_file_num_compaction_trigger = 1;
  options.max_bytes_for_level_base = uint64_t{1} << 60;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::ColumnFamilyOptions SmallOptions(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.checksum = rocksdb::kXXH3;
  table.block_cache = cache;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  rocksdb::ColumnFamilyOptions options;
  options.compression = rocksdb::kNoCompression;
  options.write_buffer_size = 8 * kMiB;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

absl::Status PrepareDirectory(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return ErrnoStatus(error.value(), "cannot create the cache directory", directory);
  if (access(directory.c_str(), W_OK | X_OK) != 0) {
    return ErrnoStatus(errno, "the cache directory must be writable:", directory);
  }
  return absl::OkStatus();
}

// NotFound when there is none.
absl::StatusOr<int> ReadFormat(const std::string& directory) {
  REFLUX_ASSIGN_OR_RETURN(const std::string content, ReadFile(directory + "/FORMAT", 64));
  int version = 0;
  if (absl::SimpleAtoi(absl::StripAsciiWhitespace(content), &version) &&
      version >= kOldestCacheFormatVersion && version <= kCacheFormatVersion) {
    return version;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      directory, " has cache format '", absl::StripAsciiWhitespace(content),
      "', this program reads formats ", kOldestCacheFormatVersion, " to ", kCacheFormatVersion,
      ": choose another directory, or the program version that wrote it"));
}

// The FORMAT file is read before the database is touched: a newer layout may not even open.
absl::Status CheckFormat(const std::string& directory) {
  const std::string path = directory + "/FORMAT";
  const absl::StatusOr<int> version = ReadFormat(directory);
  if (absl::IsNotFound(version.status()) && std::filesystem::exists(directory + "/db")) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, " holds a db folder without ", path,
                     ": not a Reflux cache; choose another directory"));
  }
  if (!version.ok() && !absl::IsNotFound(version.status())) return version.status();
  if (version.ok() && *version == kCacheFormatVersion) return absl::OkStatus();
  return WriteFileAtomically(path, absl::StrCat(kCacheFormatVersion, "\n"));
}

// "process 123 (reflux-cache)" for the holder of a database's lock file.
std::string LockHolder(const std::string& lock_file) {
  const int fd = open(lock_file.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return "another process";
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool known = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0;
  close(fd);
  if (!known) return "another process";
  std::string name;
  std::getline(std::ifstream(absl::StrCat("/proc/", lock.l_pid, "/comm")), name);
  return absl::StrCat("process ", lock.l_pid, name.empty() ? "" : absl::StrCat(" (", name, ")"));
}

absl::Status OpenError(const rocksdb::Status& status, const std::string& directory) {
  const std::string message = status.ToString();
  // Never look at the lock file when this process holds it: closing it would give the lock up.
  if (absl::StrContains(message, "lock hold by current process")) {
    return absl::FailedPreconditionError(
        absl::StrCat("the cache directory ", directory, " is already open in this process"));
  }
  if (absl::StrContains(message, "While lock file")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the cache directory ", directory, " is locked by ", LockHolder(directory + "/db/LOCK"),
        ": stop it, use it as the cache server, or choose another directory"));
  }
  if (status.IsNoSpace() || absl::StrContains(message, "Permission denied") ||
      absl::StrContains(message, "Read-only")) {
    return absl::PermissionDeniedError(
        absl::StrCat("the cache directory ", directory, " is not writable: ", message));
  }
  return absl::DataLossError(absl::StrCat("the cache in ", directory, " does not open: ", message,
                                          "; remove the directory to begin an empty cache"));
}

rocksdb::Status OpenDatabase(rocksdb::DBOptions options, const std::string& directory,
                             int64_t table_bytes, std::shared_ptr<RocksHandles>& handles) {
  const auto cache = rocksdb::NewLRUCache(32 * kMiB);
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, SmallOptions(cache)},
      {"values", ValuesOptions(table_bytes)},
      {"index", SmallOptions(cache)},
      {"order", SmallOptions(cache)},
      {"sets", SmallOptions(cache)}};
  std::vector<rocksdb::ColumnFamilyHandle*> opened;
  rocksdb::DB* db = nullptr;
  auto env = MakeLocatingEnv();
  options.env = env.get();
  rocksdb::Status status = rocksdb::DB::Open(options, directory + "/db", families, &opened, &db);
  if (!status.ok()) return status;
  handles = std::make_shared<RocksHandles>();
  handles->env = std::move(env);
  handles->db.reset(db);
  handles->meta = opened[0];
  handles->values = opened[1];
  handles->index = opened[2];
  handles->order = opened[3];
  handles->sets = opened[4];
  return status;
}

// Replays the log but for what is damaged of it, and takes damaged tables out.
absl::Status Repair(rocksdb::DBOptions options, const std::string& directory, int64_t table_bytes) {
  options.paranoid_checks = false;  // else a damaged table keeps the database shut
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  std::shared_ptr<RocksHandles> handles;
  const rocksdb::Status status = OpenDatabase(options, directory, table_bytes, handles);
  if (!status.ok()) return OpenError(status, directory);
  return RepairTables(*handles);
}

}  // namespace

RocksHandles::~RocksHandles() {
  if (db == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* family : families()) {
    if (family != nullptr) db->DestroyColumnFamilyHandle(family);
  }
  // The process ends or reopens: nothing can be done about an error, and nothing acknowledged is
  // lost by it.
  db->Close();
  db.reset();
}

absl::Status RocksHandles::Recreate(rocksdb::ColumnFamilyHandle*& family) {
  const std::string name = family->GetName();
  rocksdb::ColumnFamilyDescriptor descriptor;
  REFLUX_RETURN_IF_ERROR(FromRocks(family->GetDescriptor(&descriptor), name));
  REFLUX_RETURN_IF_ERROR(FromRocks(db->DropColumnFamily(family), name));
  db->DestroyColumnFamilyHandle(family);
  family = nullptr;
  return FromRocks(db->CreateColumnFamily(descriptor.options, name, &family), name);
}

absl::StatusOr<std::shared_ptr<RocksHandles>> OpenRocks(const std::string& directory,
                                                        int64_t table_bytes) {
  REFLUX_RETURN_IF_ERROR(PrepareDirectory(directory));
  REFLUX_RETURN_IF_ERROR(CheckFormat(directory));
  rocksdb::DBOptions options = DatabaseOptions(table_bytes);
  std::shared_ptr<RocksHandles> handles;
  rocksdb::Status status = OpenDatabase(options, directory, table_bytes, handles);
  if (status.IsCorruption()) {
    spdlog::warn("cache {}: {}; it is repaired", directory, status.ToString());
    REFLUX_RETURN_IF_ERROR(Repair(options, directory, table_bytes));
    status = OpenDatabase(options, directory, table_bytes, handles);
  }
  if (!status.ok()) return OpenError(status, directory);
  return handles;
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

absl::Status FromRocks(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string message = absl::StrCat(what, ": ", status.ToString());
  if (status.IsNotFound()) return absl::NotFoundError(message);
  if (status.IsCorruption()) return absl::DataLossError(message);
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

}  // namespace reflux
