#include "cache/rados/rados_repair.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cache/rados/rados_values.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr size_t kHexDigits = 2 * Digest::kSize;
constexpr absl::Duration kMayBeOnItsWay = absl::Hours(1);

}  // namespace

absl::Status RadosRepair::MendSet(const FetchContext& context, const TargetSetId& set,
                                  const std::shared_ptr<RadosNamespace>& space) {
  std::vector<std::string> parts;
  REFLUX_RETURN_IF_ERROR(space->List([&](const std::string& object) -> absl::Status {
    REFLUX_RETURN_IF_ERROR(context.Check());
    const absl::StatusOr<TargetKey> key = ParseEntryName(object);
    if (key.ok()) {
      heads_.insert(*key);
      return MendHead(*key, set, space);
    }
    parts.push_back(object);
    return absl::OkStatus();
  }));
  for (const std::string& object : parts) {
    REFLUX_RETURN_IF_ERROR(context.Check());
    REFLUX_RETURN_IF_ERROR(MendPart(object, *space));
  }
  return absl::OkStatus();
}

absl::StatusOr<RadosEntry> RadosRepair::WholeValue(const TargetKey& key, const TargetSetId& set,
                                                   const std::shared_ptr<RadosNamespace>& space) {
  REFLUX_ASSIGN_OR_RETURN(const RadosHeader header, ReadHeader(*space, key));
  const RadosEntry entry{
      .size = header.size, .set = set, .origin = header.origin, .form = header.form};
  REFLUX_RETURN_IF_ERROR(ValueRead::Start(space, key, entry, nullptr, blocks_).Await().status());
  return entry;
}

absl::Status RadosRepair::MendHead(const TargetKey& key, const TargetSetId& set,
                                   const std::shared_ptr<RadosNamespace>& space) {
  const absl::Status named = index_.Find(key).status();
  if (named.ok()) return absl::OkStatus();
  if (!absl::IsNotFound(named) && !absl::IsDataLoss(named)) return named;
  absl::StatusOr<RadosEntry> entry = WholeValue(key, set, space);
  if (absl::IsNotFound(entry.status())) return absl::OkStatus();  // gone since it was listed
  if (absl::IsDataLoss(entry.status()) || !usage_.Knows(set)) {
    return RemoveObject(HeadName(key), *space);
  }
  REFLUX_RETURN_IF_ERROR(entry.status());
  if (absl::IsDataLoss(named)) REFLUX_RETURN_IF_ERROR(index_.Erase(key).status());
  entry->stamp = stamp_();
  REFLUX_ASSIGN_OR_RETURN(const bool inserted, index_.Insert(key, *entry));
  if (inserted) ++report_.taken_in;
  return absl::OkStatus();
}

// "<key>.<nonce>.<number>"
absl::Status RadosRepair::MendPart(const std::string& object, RadosNamespace& space) {
  const absl::StatusOr<TargetKey> key = ParseEntryName(object.substr(0, kHexDigits));
  if (key.ok()) {
    const absl::StatusOr<RadosHeader> header = ReadHeader(space, *key);
    const bool unreadable =
        !header.ok() && !absl::IsNotFound(header.status()) && !absl::IsDataLoss(header.status());
    if (unreadable) return header.status();
    if (header.ok() &&
        absl::StartsWith(object.substr(kHexDigits), absl::StrFormat(".%016x.", header->nonce))) {
      return absl::OkStatus();
    }
  }
  const auto info = space.Stat(object);
  if (absl::IsNotFound(info.status())) return absl::OkStatus();
  REFLUX_RETURN_IF_ERROR(info.status());
  if (absl::Now() - info->modified < kMayBeOnItsWay) return absl::OkStatus();
  return RemoveObject(object, space);
}

absl::Status RadosRepair::RemoveObject(const std::string& object, RadosNamespace& space) {
  const auto info = space.Stat(object);
  if (info.ok()) report_.freed_bytes += info->size;
  return space.Remove(object);
}

absl::Status RadosRepair::DropEntriesWithoutValue(const FetchContext& context,
                                                  const SpaceOf& space_of) {
  return index_.Visit([&](const TargetKey& key, const RadosEntry& entry) -> absl::Status {
    REFLUX_RETURN_IF_ERROR(context.Check());
    if (heads_.count(key) > 0) return absl::OkStatus();
    REFLUX_ASSIGN_OR_RETURN(const auto space, space_of(entry.set));
    const absl::Status there = space->Stat(HeadName(key)).status();  // put since the listing?
    if (!absl::IsNotFound(there)) return there;
    ++report_.dropped;
    return index_.Erase(key).status();
  });
}

}  // namespace reflux
