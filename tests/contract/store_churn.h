// What the child of the kill test does and its parent checks: a small store in which one pinned set
// and ever new generations of unpinned ones displace each other.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "cache/rocks_target_store.h"
#include "common/base/clock.h"
#include "common/targets/target_key.h"

namespace reflux {

inline constexpr int32_t kPinned = -1;  // the generation of the pinned set
inline constexpr int64_t kChurnCapacity = int64_t{8} << 20;

struct ChurnEntry {
  int32_t generation = 0;
  int32_t number = 0;
  auto operator<=>(const ChurnEntry&) const = default;
};

struct ChurnMessage {
  enum Kind : int32_t {
    kStored,    // acknowledged
    kDropping,  // about to be dropped
    kExpiring,  // leases are about to end; `entry.generation` was the last used
  };
  Kind kind = kStored;
  ChurnEntry entry;
};

RocksTargetStoreOptions ChurnOptions(const std::string& directory, const Clock& clock);
TargetKey KeyOf(const ChurnEntry& entry);
TargetSet SetOf(const ChurnEntry& entry);
// Some 10 kB that depend on the entry.
EncodedTarget ChurnTarget(const ChurnEntry& entry);

// Puts, evicts and drops for ever, beginning with `generation`, and writes ChurnMessages to `fd`.
// Returns when something failed that should not.
absl::Status Churn(const std::string& directory, int32_t generation, int fd);

}  // namespace reflux
