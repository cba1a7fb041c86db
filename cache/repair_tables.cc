#include "cache/repair_tables.h"

#include <rocksdb/convenience.h>
#include <rocksdb/metadata.h>
#include <rocksdb/sst_file_reader.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>
#include <vector>

#include "cache/index_record.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

struct Table {
  std::string path, first, last;  // keys
};

std::vector<Table> DamagedTables(RocksHandles& handles, rocksdb::ColumnFamilyHandle* family) {
  rocksdb::ColumnFamilyMetaData data;
  handles.db->GetColumnFamilyMetaData(family, &data);
  std::vector<Table> damaged;
  for (const rocksdb::LevelMetaData& level : data.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      const std::string path = file.db_path + file.name;
      rocksdb::SstFileReader reader(handles.db->GetOptions(family));
      const rocksdb::Status opened = reader.Open(path);
      if (!opened.IsCorruption()) continue;
      spdlog::warn("cache: table {} of {} is damaged and is given up: {}", path, family->GetName(),
                   opened.ToString());
      damaged.push_back({path, file.smallestkey, file.largestkey});
    }
  }
  return damaged;
}

absl::Status DeleteTable(RocksHandles& handles, rocksdb::ColumnFamilyHandle* family,
                         const Table& table) {
  const rocksdb::Slice first(table.first), last(table.last);
  // Out of level 0, where files are not deleted; no byte is read for that.
  REFLUX_RETURN_IF_ERROR(
      FromRocks(handles.db->CompactRange({}, family, &first, &last), "cache repair"));
  const rocksdb::RangePtr range(&first, &last);
  return FromRocks(rocksdb::DeleteFilesInRanges(handles.db.get(), family, &range, 1),
                   "cache repair");
}

// The entries whose values lie in the table.
absl::Status ForgetEntries(RocksHandles& handles, const Table& table) {
  rocksdb::WriteBatch batch;
  std::unique_ptr<rocksdb::Iterator> it(handles.db->NewIterator({}, handles.order));
  for (it->Seek(table.first); it->Valid() && it->key().compare(table.last) <= 0; it->Next()) {
    TargetKey key;
    IndexRecord record;
    REFLUX_RETURN_IF_ERROR(
        DecodeOrderRecord(FromSlice(it->key()), FromSlice(it->value()), key, record));
    batch.Delete(handles.index, ToSlice(key.digest.AsBytes()));
    batch.Delete(handles.order, it->key());
  }
  REFLUX_RETURN_IF_ERROR(FromRocks(it->status(), "cache order"));
  rocksdb::WriteOptions options;
  options.sync = true;
  return FromRocks(handles.db->Write(options, &batch), "cache repair");
}

}  // namespace

absl::Status RepairTables(RocksHandles& handles) {
  for (rocksdb::ColumnFamilyHandle** family : {&handles.index, &handles.order, &handles.sets}) {
    if (!DamagedTables(handles, *family).empty()) {
      REFLUX_RETURN_IF_ERROR(handles.Recreate(*family));
    }
  }
  for (const Table& table : DamagedTables(handles, handles.values)) {
    // Without an order, Get finds out.
    const absl::Status forgotten = ForgetEntries(handles, table);
    if (!forgotten.ok()) spdlog::warn("cache: {}", forgotten.ToString());
    REFLUX_RETURN_IF_ERROR(DeleteTable(handles, handles.values, table));
  }
  for (const Table& table : DamagedTables(handles, handles.meta)) {
    REFLUX_RETURN_IF_ERROR(DeleteTable(handles, handles.meta, table));
  }
  return absl::OkStatus();
}

}  // namespace reflux
