// The records of the `sets` column family: a v1::TargetSet message under the set's id.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cache/target_store.h"
#include "reflux/v1/targets.pb.h"

namespace reflux {

v1::TargetSet ToProto(const StoredSet& set);
// The errors of FromProto for its parts (common/targets/wire.h).
absl::StatusOr<StoredSet> FromProto(const v1::TargetSet& message);

std::string EncodeSetRecord(const StoredSet& set);
// DataLoss when `key` is no set id, `bytes` no description, or they do not belong together.
absl::StatusOr<StoredSet> DecodeSetRecord(absl::string_view key, absl::string_view bytes);

}  // namespace reflux
