// OpenRadosStore of a build that found no librados.
#include "cache/rados/rados_store.h"
#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<std::unique_ptr<TargetStore>> OpenRadosStore(const RadosStoreOptions& options) {
  REFLUX_RETURN_IF_ERROR(options.Validate());
  return absl::UnimplementedError(
      "not available in this build: stores on Ceph RADOS (install librados-dev, as deploy/setup.sh "
      "does, and build again)");
}

}  // namespace reflux
