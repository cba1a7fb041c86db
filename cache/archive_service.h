// The gRPC TargetArchiveService over a store.
#pragma once

#include <memory>

#include "cache/target_store.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {

// Thread-safe; does not own the store. Exports and imports run in the call's thread, one target in
// memory at a time.
std::unique_ptr<v1::TargetArchiveService::Service> MakeArchiveService(TargetStore& store);

}  // namespace reflux
