#include "bench/target_readers.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/cache_process.h"
#include "bench/peer_readers.h"
#include "bench/source_reader.h"
#include "bench/store_readers.h"
#include "bench/target_grpc_readers.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

absl::StatusOr<std::unique_ptr<ChildProcess>> StartBareServer(const TargetBenchOptions& options,
                                                              const std::string& folder) {
  const std::string endpoint = folder + "/bare.endpoint";
  return ChildProcess::Start(
      {std::filesystem::read_symlink("/proc/self/exe").string(), "--serve-bare",
       absl::StrCat(options.stored().value_bytes()), "--endpoint-file", endpoint},
      endpoint);
}

}  // namespace

absl::StatusOr<std::vector<NamedReader>> OpenTargetReaders(const TargetBenchOptions& options,
                                                           const std::string& folder) {
  const StoredValues values = options.stored();
  const std::string served = folder + "/served", own = folder + "/own";
  const std::string unchecked = folder + "/unchecked";
  REFLUX_RETURN_IF_ERROR(WriteNpy(values, folder));
  // Each as RocksDB writes it: how a file was written decides how it lies in the page cache.
  for (const std::string& store : {served, own, unchecked}) {
    REFLUX_RETURN_IF_ERROR(WriteStore(values, store));
  }

  std::vector<NamedReader> readers;
  const auto add = [&](const std::string& name, std::unique_ptr<TargetReader> reader) {
    readers.push_back({name, std::move(reader)});
  };
  add("npy", MakeNpyReader(folder));
  REFLUX_ASSIGN_OR_RETURN(auto lmdb, MakeLmdbReader(values, folder));
  add("lmdb", std::move(lmdb));
  REFLUX_ASSIGN_OR_RETURN(auto store, MakeStoreReader(values, own));
  add("store", std::move(store));
  REFLUX_ASSIGN_OR_RETURN(auto faster, MakeUncheckedReader(values, unchecked));
  add("store_unchecked", std::move(faster));
  REFLUX_ASSIGN_OR_RETURN(auto cache, StartCacheProcess(options.cache_program, served));
  add("same_host", MakeSameHostReader(cache->address()));
  add("grpc", MakeGrpcReader(options, std::move(cache)));
  REFLUX_ASSIGN_OR_RETURN(auto bare, StartBareServer(options, folder));
  add("grpc_bare", MakeBareReader(options, std::move(bare)));
  return readers;
}

}  // namespace reflux
