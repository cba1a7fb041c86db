// A TargetSource of a student on the host of its cache server: stored targets are read from the
// server's folder, without a byte through gRPC; what is not there is fetched from the server.
//
// The bits are the same: a target is found under the same key, and its checksum is compared. Every
// error of the folder (another host, not readable, damaged, gone) is a miss. The server goes on
// owning the store; it is told once a minute which sets are read past it, by fetching one target of
// each from it, so that they stay leased.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/metrics/registry.h"
#include "common/targets/target.h"

namespace reflux {

struct DirectSourceOptions {
  // The cache server, asked where its store lies: "host:port" or "@FILE".
  std::string endpoint;
  // Pause before a folder that could not be opened is tried again.
  absl::Duration reopen_after = absl::Seconds(10);
  // The folder is looked at anew when something is missing, at most this often; after a look that
  // found none of it the pause doubles, up to the longest. And once in the longest in any case, so
  // that the disk space of what the server has removed becomes free.
  absl::Duration min_catch_up = absl::Seconds(1);
  absl::Duration max_catch_up = absl::Minutes(1);
  // How often the server is told which sets are in use.
  absl::Duration renew_every = absl::Minutes(1);
};

struct DirectSourceMetrics {
  Counter hits, hit_bytes, misses, errors;
  // reflux_<component>_direct_*
  static DirectSourceMetrics Register(MetricRegistry& registry, const std::string& component);
};

struct DirectCounts {
  int64_t hits = 0;    // targets read from the folder
  int64_t misses = 0;  // targets fetched from the server
  int64_t errors = 0;  // of the misses, those that the folder failed to return
};

// Thread-safe. GetTeacherInfo is the server's.
class DirectSource : public TargetSource {
 public:
  virtual DirectCounts counts() const = 0;
};

// Returns at once: the folder is looked for at the first Fetch, and again later when there was
// none. Every Fetch must end before the source is destroyed.
std::unique_ptr<DirectSource> MakeDirectSource(std::unique_ptr<TargetSource> server,
                                               const DirectSourceOptions& options,
                                               const DirectSourceMetrics& metrics = {});

}  // namespace reflux
