#include "bench/pace_readers.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/cache_process.h"
#include "bench/peer_readers.h"
#include "bench/source_reader.h"
#include "bench/store_readers.h"
#include "cache/caching_source.h"
#include "cache/rocks_target_store.h"
#include "common/base/status_macros.h"
#include "common/targets/remote_source.h"

namespace reflux {
namespace {

class MemoryReader : public TargetReader {
 public:
  explicit MemoryReader(const StoredValues& values) {
    for (int i = 0; i < std::min(4, values.count); ++i) values_.push_back(BenchValue(values, i));
  }
  // Whatever number is asked for: what the bytes are does not matter here.
  absl::Status Read(const std::vector<int>& order, BatchRows& rows) override {
    int64_t position = 0;
    for (const int number : order) {
      const absl::string_view bytes = values_[static_cast<size_t>(number) % values_.size()].bytes;
      std::memcpy(rows.row(position++), bytes.data(), bytes.size());
    }
    return absl::OkStatus();
  }

 private:
  std::vector<EncodedTarget> values_;
};

// Parts go in the reverse of this order.
struct Embedded {
  std::unique_ptr<RocksTargetStore> store;
  std::unique_ptr<TargetSource> absent = MakeAbsentTeacher();
  std::unique_ptr<CachingSource> source;
};

absl::StatusOr<std::unique_ptr<TargetReader>> MakeEmbeddedReader(const std::string& directory) {
  auto parts = std::make_shared<Embedded>();
  REFLUX_ASSIGN_OR_RETURN(
      parts->store, RocksTargetStore::Open({.directory = directory, .min_free_disk_bytes = 0}));
  parts->source = MakeCachingSource(*parts->store, *parts->absent);
  TargetSource* source = parts->source.get();
  return MakeSourceReader({std::move(parts), source});
}

struct Served {
  std::shared_ptr<ChildProcess> cache;
  std::unique_ptr<TargetSource> source;
};

std::unique_ptr<TargetReader> MakeServedReader(std::shared_ptr<ChildProcess> cache) {
  auto parts = std::make_shared<Served>();
  parts->source = MakeRemoteSource({.endpoint = cache->address()});
  parts->cache = std::move(cache);
  TargetSource* source = parts->source.get();
  return MakeSourceReader({std::move(parts), source});
}

}  // namespace

absl::StatusOr<std::vector<NamedReader>> OpenPaceReaders(const PaceBenchOptions& options,
                                                         const StoredValues& values,
                                                         const std::string& folder) {
  const std::string served = folder + "/served", own = folder + "/own";
  const std::string unchecked = folder + "/unchecked";
  REFLUX_RETURN_IF_ERROR(WriteNpy(values, folder));
  for (const std::string& store : {served, own, unchecked}) {
    REFLUX_RETURN_IF_ERROR(WriteStore(values, store));
  }

  std::vector<NamedReader> readers;
  const auto add = [&](const std::string& name, std::unique_ptr<TargetReader> reader) {
    readers.push_back({name, std::move(reader)});
  };
  add("memory", std::make_unique<MemoryReader>(values));
  add("npy", MakeNpyReader(folder));
  REFLUX_ASSIGN_OR_RETURN(auto lmdb, MakeLmdbReader(values, folder));
  add("lmdb", std::move(lmdb));
  REFLUX_ASSIGN_OR_RETURN(auto embedded, MakeEmbeddedReader(own));
  add("embedded", std::move(embedded));
  REFLUX_ASSIGN_OR_RETURN(std::shared_ptr<ChildProcess> cache,
                          StartCacheProcess(options.cache_program, served));
  add("same_host", MakeSameHostReader(cache->address()));
  add("grpc", MakeServedReader(std::move(cache)));
  REFLUX_ASSIGN_OR_RETURN(auto faster, MakeUncheckedReader(values, unchecked));
  add("unchecked", std::move(faster));
  return readers;
}

}  // namespace reflux
