// The gRPC CacheAdminService: what a cache holds and whether it is intact.
#pragma once

#include <memory>

#include "cache/caching_source.h"
#include "cache/target_store.h"
#include "reflux/v1/targets.grpc.pb.h"

namespace reflux {

// Thread-safe; owns neither. Verify runs in the call's thread until it is done or its deadline
// has passed.
std::unique_ptr<v1::CacheAdminService::Service> MakeCacheAdminService(TargetStore& store,
                                                                      const CachingSource& source);

}  // namespace reflux
