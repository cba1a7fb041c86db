#include "cache/value_tables.h"

#include <rocksdb/convenience.h>
#include <rocksdb/metadata.h>

#include <algorithm>
#include <string>

#include "cache/index_record.h"
#include "common/base/status_macros.h"

namespace reflux {

std::vector<ValueTable> ListValueTables(const RocksHandles& handles) {
  rocksdb::ColumnFamilyMetaData family;
  handles.db->GetColumnFamilyMetaData(handles.values, &family);
  std::vector<ValueTable> tables;
  for (const rocksdb::LevelMetaData& level : family.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      const auto first = DecodeInsertion(file.smallestkey), last = DecodeInsertion(file.largestkey);
      if (!first.ok() || !last.ok()) continue;
      tables.push_back({*first, *last, static_cast<int64_t>(file.size), level.level});
    }
  }
  std::sort(tables.begin(), tables.end(),
            [](const ValueTable& a, const ValueTable& b) { return a.first < b.first; });
  return tables;
}

absl::Status FlushValues(RocksHandles& handles) {
  return FromRocks(handles.db->Flush({}, handles.values), "cache flush");
}

absl::Status DeleteValueTable(RocksHandles& handles, const ValueTable& table) {
  const std::string first = EncodeInsertion(table.first), last = EncodeInsertion(table.last);
  const rocksdb::Slice begin(first), end(last);
  // Files of level 0 are never deleted so. RocksDB is about to move them, which costs nothing.
  if (table.level == 0) {
    REFLUX_RETURN_IF_ERROR(
        FromRocks(handles.db->CompactRange({}, handles.values, &begin, &end), "cache table"));
  }
  const rocksdb::RangePtr range(&begin, &end);
  return FromRocks(rocksdb::DeleteFilesInRanges(handles.db.get(), handles.values, &range, 1),
                   "cache: deleting a table");
}

int64_t DiskBytes(const RocksHandles& handles) {
  uint64_t all = 0;
  for (rocksdb::ColumnFamilyHandle* family : handles.families()) {
    for (const std::string& property : {rocksdb::DB::Properties::kLiveSstFilesSize,
                                        rocksdb::DB::Properties::kCurSizeAllMemTables}) {
      uint64_t bytes = 0;
      handles.db->GetIntProperty(family, property, &bytes);
      all += bytes;
    }
  }
  return static_cast<int64_t>(all);
}

}  // namespace reflux
