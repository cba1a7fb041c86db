#include "cache/verify_store.h"

#include "common/base/status_macros.h"

namespace reflux {

absl::StatusOr<VerifyReport> VerifyStore(TargetStore& store, const FetchContext& context) {
  VerifyReport report;
  REFLUX_RETURN_IF_ERROR(store.Visit({}, [&](const StoredEntry& entry) -> absl::Status {
    REFLUX_RETURN_IF_ERROR(context.Check());
    const absl::Status read = store.Read(entry.key, Use::kInspection).status();
    if (absl::IsNotFound(read)) return absl::OkStatus();  // removed since the visit began
    ++report.entries;
    report.bytes += entry.bytes;
    if (read.ok() || !absl::IsDataLoss(read)) return read;
    ++report.corrupted;
    return store.Drop(entry.key);
  }));
  return report;
}

}  // namespace reflux
