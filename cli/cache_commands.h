// Commands of the operator of a cache: what it holds on disk, and what may go. `endpoint` is
// "host:port" or "@FILE"; sets are named by the beginning of their full name or id.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/terminal.h"

namespace reflux {

struct SetFlags {
  std::string set;
  bool all = false;    // every set whose name begins so
  bool force = false;  // rm: also sets in use
  std::string term;    // pin: "24h"
  bool release = false;
};

int RemoveTargets(Terminal& terminal, const std::string& endpoint, const SetFlags& flags);
int PinTargets(Terminal& terminal, const std::string& endpoint, const SetFlags& flags);
int CacheDiskUsage(Terminal& terminal, const std::string& endpoint);
// `to_gib`: evict down to this size; negative: evict nothing.
int CacheCollectGarbage(Terminal& terminal, const std::string& endpoint, double to_gib);

// Seconds of "24h", "90m", "7d", "1d12h"; InvalidArgument outside 1 s to ten years.
absl::StatusOr<int64_t> ParseTerm(const std::string& text);

}  // namespace reflux
