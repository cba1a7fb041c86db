#include "cache/rados/rados_sets.h"

#include <spdlog/spdlog.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cache/big_endian.h"
#include "cache/set_record.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr char kObject[] = "sets";
constexpr absl::Duration kTellEvery = absl::Minutes(1);

std::string UsedName(const TargetSetId& id) { return absl::StrCat(id.digest.Hex(), ".used"); }
std::string PinName(const TargetSetId& id) { return absl::StrCat(id.digest.Hex(), ".pin"); }

std::string EncodeTime(absl::Time time) {
  std::string out;
  AppendBigEndian(out, static_cast<uint64_t>(absl::ToUnixSeconds(time)), 8);
  return out;
}

std::string EncodePin(absl::Duration term, absl::Time until) {
  std::string out;
  AppendBigEndian(out, static_cast<uint64_t>(absl::ToInt64Seconds(term)), 8);
  return out + EncodeTime(until);
}

// The three values of a set, whichever are there and whole.
absl::StatusOr<StoredSet> Decode(const TargetSetId& id, const RadosNamespace::Map& values) {
  const auto record = values.find(id.digest.Hex());
  if (record == values.end()) return absl::NotFoundError("no such target set");
  REFLUX_ASSIGN_OR_RETURN(StoredSet set, DecodeSetRecord(id.digest.AsBytes(), record->second));
  if (const auto used = values.find(UsedName(id)); used != values.end()) {
    absl::string_view bytes = used->second;
    if (bytes.size() == 8) {
      set.last_used = absl::FromUnixSeconds(static_cast<int64_t>(TakeBigEndian(bytes, 8)));
    }
  }
  if (const auto pin = values.find(PinName(id)); pin != values.end()) {
    absl::string_view bytes = pin->second;
    if (bytes.size() == 16) {
      set.pin_term = absl::Seconds(static_cast<int64_t>(TakeBigEndian(bytes, 8)));
      set.pinned_until = absl::FromUnixSeconds(static_cast<int64_t>(TakeBigEndian(bytes, 8)));
    }
  }
  return set;
}

}  // namespace

absl::Status RadosSets::Refresh() {
  RadosNamespace::Map values;
  std::string after;
  while (true) {
    REFLUX_ASSIGN_OR_RETURN(RadosNamespace::Map page,
                            control_.ReadMap({.object = kObject, .after = after}));
    if (page.empty()) break;
    after = page.rbegin()->first;
    values.merge(page);
  }
  MutexLock lock(mutex_);
  std::set<TargetSetId> changed;
  const auto note = [&changed](const std::string& name) {
    const auto digest = Digest::FromHex(absl::string_view(name).substr(0, 2 * Digest::kSize));
    if (digest.ok()) changed.insert({*digest});
  };
  for (const auto& [name, value] : values) {
    const auto seen = seen_.find(name);
    if (seen == seen_.end() || seen->second != value) note(name);
  }
  for (const auto& [name, value] : seen_) {
    if (values.count(name) == 0) note(name);
  }
  for (const TargetSetId& id : changed) {
    const absl::Status status = Restore(id, values);
    if (!status.ok()) spdlog::warn("rados store: set {}: {}", id.digest.Short(), status.ToString());
  }
  seen_ = std::move(values);
  return absl::OkStatus();
}

absl::Status RadosSets::Restore(const TargetSetId& id, const RadosNamespace::Map& values) {
  REFLUX_ASSIGN_OR_RETURN(const StoredSet set, Decode(id, values));
  // Used elsewhere since it was last seen here: leased, whatever the other clock says.
  const auto before = seen_.find(UsedName(id));
  const auto now = values.find(UsedName(id));
  const bool used_since =
      before != seen_.end() && now != values.end() && before->second != now->second;
  usage_.Restore(set);
  if (used_since) usage_.Touch(id);
  if (set.pin_term == absl::ZeroDuration()) usage_.Pin(id, absl::ZeroDuration());
  return absl::OkStatus();
}

absl::Status RadosSets::Describe(const TargetSetId& id, const TargetSet& set) {
  const std::string name = id.digest.Hex();
  const StoredSet record{.id = id, .set = set};
  bool told = false;
  {
    MutexLock lock(mutex_);
    told = seen_.count(name) > 0;
  }
  if (!told) {
    const std::string value = EncodeSetRecord(record);
    REFLUX_RETURN_IF_ERROR(control_.ChangeMap(kObject, {.set = {{name, value}}}));
    usage_.Restore(record);  // its count may have come before its description
    MutexLock lock(mutex_);
    seen_[name] = value;
  }
  Touch(id);
  return absl::OkStatus();
}

void RadosSets::Touch(const TargetSetId& id) {
  usage_.Touch(id);
  const absl::Duration uptime = clock_.Uptime();
  {
    MutexLock lock(mutex_);
    const auto [told, first] = told_.try_emplace(id, uptime);
    if (!first && uptime - told->second < kTellEvery) return;
    told->second = uptime;
  }
  const std::string value = EncodeTime(clock_.Now());
  const absl::Status status = control_.ChangeMap(kObject, {.set = {{UsedName(id), value}}});
  if (!status.ok()) {
    spdlog::debug("rados store: last use not shared: {}", status.ToString());
    return;
  }
  MutexLock lock(mutex_);
  seen_[UsedName(id)] = value;
}

absl::Status RadosSets::WritePin(const TargetSetId& id, const std::string& value) {
  const std::string name = PinName(id);
  RadosNamespace::MapChange change;
  if (value.empty()) {
    change.erase = {name};
  } else {
    change.set = {{name, value}};
  }
  REFLUX_RETURN_IF_ERROR(control_.ChangeMap(kObject, change));
  MutexLock lock(mutex_);
  if (value.empty()) {
    seen_.erase(name);
  } else {
    seen_[name] = value;
  }
  return absl::OkStatus();
}

absl::Status RadosSets::Pin(const TargetSetId& id, absl::Duration term) {
  if (term <= absl::ZeroDuration()) return Unpin(id);
  if (!usage_.Pin(id, term)) return absl::NotFoundError("no such target set");
  return WritePin(id, EncodePin(term, clock_.Now() + term));
}

absl::Status RadosSets::Unpin(const TargetSetId& id) {
  usage_.Pin(id, absl::ZeroDuration());
  return WritePin(id, "");
}

}  // namespace reflux
