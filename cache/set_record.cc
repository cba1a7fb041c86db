#include "cache/set_record.h"

#include "common/base/status_macros.h"
#include "common/targets/wire.h"

namespace reflux {

v1::TargetSet ToProto(const StoredSet& set) {
  v1::TargetSet message = ToProto(set.set);
  message.set_entries(set.entries);
  message.set_bytes(set.bytes);
  message.set_last_used_unix_seconds(absl::ToUnixSeconds(set.last_used));
  message.set_set_id(std::string(set.id.digest.AsBytes()));
  message.set_leased(set.leased);
  if (set.pin_term > absl::ZeroDuration()) {
    message.set_pinned_until_unix_seconds(absl::ToUnixSeconds(set.pinned_until));
    message.set_pinned_for_seconds(absl::ToInt64Seconds(set.pin_term));
  }
  return message;
}

absl::StatusOr<StoredSet> FromProto(const v1::TargetSet& message) {
  StoredSet set;
  REFLUX_ASSIGN_OR_RETURN(set.set.teacher, FromProto(message.teacher()));
  REFLUX_ASSIGN_OR_RETURN(set.set.spec, FromProto(message.spec()));
  set.set.dataset = message.dataset();
  set.set.model = message.model();
  set.entries = message.entries();
  set.bytes = message.bytes();
  set.last_used = absl::FromUnixSeconds(message.last_used_unix_seconds());
  set.leased = message.leased();
  if (message.pinned_for_seconds() > 0) {
    set.pin_term = absl::Seconds(message.pinned_for_seconds());
    set.pinned_until = absl::FromUnixSeconds(message.pinned_until_unix_seconds());
  }
  set.id = MakeTargetSetId(set.set);
  return set;
}

std::string EncodeSetRecord(const StoredSet& set) {
  v1::TargetSet message = ToProto(set);
  // Counted at open: a stored count could be wrong.
  message.clear_entries();
  message.clear_bytes();
  message.clear_set_id();  // the key
  message.clear_leased();
  return message.SerializeAsString();
}

absl::StatusOr<StoredSet> DecodeSetRecord(absl::string_view key, absl::string_view bytes) {
  v1::TargetSet message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("set record: not a TargetSet message");
  }
  REFLUX_ASSIGN_OR_RETURN(StoredSet set, FromProto(message));
  if (set.id.digest.AsBytes() != key) return absl::DataLossError("set record: wrong id");
  return set;
}

}  // namespace reflux
