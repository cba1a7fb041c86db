#include "bench/deletion_rounds.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/store_meter.h"
#include "cache/index_record.h"
#include "cache/rocks_handles.h"
#include "cache/value_tables.h"
#include "common/base/digest.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

enum class Way { kTables, kDeleteRange, kHashed };

std::string Name(Way way) {
  switch (way) {
    case Way::kTables:
      return "ascending keys, whole tables";
    case Way::kDeleteRange:
      return "ascending keys, DeleteRange";
    case Way::kHashed:
      return "hashed keys, single deletions";
  }
  return "";
}

std::string KeyOf(Way way, int64_t number) {
  if (way != Way::kHashed) return EncodeInsertion(static_cast<uint64_t>(number));
  return std::string(Sha256::Of(absl::StrCat(number)).AsBytes());
}

// A database whose only content is `values`.
class Database {
 public:
  Database(const StoreBenchOptions& options, Way way)
      : way_(way),
        folder_(options.dir + "/deletion"),
        value_(static_cast<size_t>(options.value_bytes), '\0') {
    std::mt19937_64 random(1);
    for (char& byte : value_) byte = static_cast<char>(random());
  }
  ~Database() {
    handles_.reset();
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }
  absl::Status Open() {
    REFLUX_ASSIGN_OR_RETURN(handles_, OpenRocks(folder_));
    if (way_ == Way::kTables) return absl::OkStatus();
    return FromRocks(  // RocksDB's defaults
        handles_->db->SetOptions(handles_->values, {{"level0_file_num_compaction_trigger", "4"},
                                                    {"max_bytes_for_level_base", "268435456"}}),
        "options");
  }

  absl::StatusOr<int64_t> Fill(int64_t first, int64_t count) {
    for (int64_t i = first; i < first + count; ++i) {
      REFLUX_RETURN_IF_ERROR(
          FromRocks(handles_->db->Put({}, handles_->values, KeyOf(way_, i), value_), "put"));
    }
    REFLUX_RETURN_IF_ERROR(FlushValues(*handles_));
    return count * static_cast<int64_t>(value_.size());
  }
  absl::StatusOr<int64_t> DeleteOldest(int64_t count) {
    switch (way_) {
      case Way::kTables:
        for (const ValueTable& table : ListValueTables(*handles_)) {
          if (table.last >= static_cast<uint64_t>(count)) continue;
          REFLUX_RETURN_IF_ERROR(DeleteValueTable(*handles_, table));
        }
        break;
      case Way::kDeleteRange:
        REFLUX_RETURN_IF_ERROR(FromRocks(
            handles_->db->DeleteRange({}, handles_->values, KeyOf(way_, 0), KeyOf(way_, count)),
            "delete"));
        break;
      case Way::kHashed:
        for (int64_t i = 0; i < count; ++i) {
          REFLUX_RETURN_IF_ERROR(
              FromRocks(handles_->db->Delete({}, handles_->values, KeyOf(way_, i)), "delete"));
        }
        break;
    }
    return count * static_cast<int64_t>(value_.size());
  }
  // Until RocksDB has nothing more to do.
  absl::Status Settle() {
    REFLUX_RETURN_IF_ERROR(FlushValues(*handles_));
    using Properties = rocksdb::DB::Properties;
    while (Value(Properties::kCompactionPending) + Value(Properties::kNumRunningCompactions) +
               Value(Properties::kNumRunningFlushes) >
           0) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    return absl::OkStatus();
  }
  int64_t Value(const std::string& property) {
    uint64_t value = 0;
    handles_->db->GetIntProperty(handles_->values, property, &value);
    return static_cast<int64_t>(value);
  }

  absl::Status Step(const std::string& what, std::vector<StoreRow>& rows,
                    const std::function<absl::StatusOr<int64_t>()>& step) {
    REFLUX_ASSIGN_OR_RETURN(StoreRow row, Measure(absl::StrCat(Name(way_), ": ", what), folder_,
                                                  step, [this] { return Settle(); }));
    row.disk_bytes = Value(rocksdb::DB::Properties::kLiveSstFilesSize);
    rows.push_back(row);
    return absl::OkStatus();
  }

 private:
  const Way way_;
  const std::string folder_;
  std::string value_;
  std::shared_ptr<RocksHandles> handles_;
};

}  // namespace

absl::Status MeasureDeletion(const StoreBenchOptions& options, std::vector<StoreRow>& rows) {
  const int64_t count = std::max<int64_t>(4, options.fill_bytes / options.value_bytes);
  for (const Way way : {Way::kTables, Way::kDeleteRange, Way::kHashed}) {
    Database database(options, way);
    REFLUX_RETURN_IF_ERROR(database.Open());
    REFLUX_RETURN_IF_ERROR(database.Step("fill", rows, [&] { return database.Fill(0, count); }));
    REFLUX_RETURN_IF_ERROR(database.Step("delete the older half", rows,
                                         [&] { return database.DeleteOldest(count / 2); }));
    REFLUX_RETURN_IF_ERROR(
        database.Step("fill again", rows, [&] { return database.Fill(count, count / 2); }));
  }
  return absl::OkStatus();
}

}  // namespace reflux
