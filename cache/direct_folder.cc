#include "cache/direct_folder.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/boot_id.h"
#include "common/base/status_macros.h"
#include "common/rpc/endpoints.h"
#include "common/rpc/status.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {
namespace {

// FailedPrecondition: the store is no folder of this host.
absl::StatusOr<std::string> FindFolder(const std::string& endpoint) {
  REFLUX_ASSIGN_OR_RETURN(const std::string address, ResolveEndpoint(endpoint));
  const auto stub = v1::TargetArchiveService::NewStub(
      grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(5)));
  v1::StoreLocation location;
  REFLUX_RETURN_IF_ERROR(FromGrpc(stub->GetStoreLocation(&context, {}, &location)));
  if (location.directory().empty() || location.boot_id().empty() ||
      location.boot_id() != BootId()) {
    return absl::FailedPreconditionError("its store is no folder of this host");
  }
  return location.directory();
}

}  // namespace

std::shared_ptr<RocksReader> DirectFolder::Reader() {
  CatchUp(/*in_any_case=*/true);
  MutexLock lock(mutex_);
  if (reader_ == nullptr && absl::Now() >= next_open_) {
    next_open_ = absl::Now() + options_.reopen_after;
    reader_ = Open();
    last_look_ = absl::Now();
    pause_ = options_.min_catch_up;
  }
  return reader_;
}

bool DirectFolder::LookAgain() { return CatchUp(/*in_any_case=*/false); }

void DirectFolder::Found(bool any) {
  MutexLock lock(mutex_);
  pause_ = any ? options_.min_catch_up : std::min(2 * pause_, options_.max_catch_up);
}

bool DirectFolder::CatchUp(bool in_any_case) {
  std::shared_ptr<RocksReader> reader;
  {
    MutexLock lock(mutex_);
    const absl::Duration pause = in_any_case ? options_.max_catch_up : pause_;
    if (reader_ == nullptr || absl::Now() - last_look_ < pause) return false;
    last_look_ = absl::Now();
    reader = reader_;
  }
  const absl::Status status = reader->CatchUp();
  if (status.ok()) return true;
  MutexLock lock(mutex_);
  Say(absl::StrCat("cache folder given up for now, targets come from the server: ",
                   status.message()));
  reader_ = nullptr;
  next_open_ = absl::Now() + options_.reopen_after;
  return false;
}

std::shared_ptr<RocksReader> DirectFolder::Open() {
  const absl::StatusOr<std::string> folder = FindFolder(options_.endpoint);
  // A teacher server, or another host: that does not change soon.
  if (absl::IsUnimplemented(folder.status()) || absl::IsFailedPrecondition(folder.status())) {
    next_open_ = absl::Now() + 60 * options_.reopen_after;
  }
  if (!folder.ok()) {
    Say(absl::StrCat("targets come from ", options_.endpoint, ": ", folder.status().message()));
    return nullptr;
  }
  absl::StatusOr<std::unique_ptr<RocksReader>> reader = RocksReader::Open(*folder);
  if (!reader.ok()) {
    Say(absl::StrCat("targets come from ", options_.endpoint, ": ", reader.status().message()));
    return nullptr;
  }
  Say(absl::StrCat("stored targets are read from ", *folder));
  return *std::move(reader);
}

void DirectFolder::Say(const std::string& what) {
  if (std::exchange(said_, what) != what) spdlog::info("{}", what);
}

}  // namespace reflux
